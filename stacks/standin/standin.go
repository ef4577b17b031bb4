// Package standin serves the pulumi-cloudflare v5 types this project uses, against a loopback API only, where the official plugin cannot be installed.
package standin

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"log/slog"
	"os"
	"slices"
	"sort"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/stacks/parent"
)

// Version is what the plugin reports: the version it stands in for, unmistakably marked.
const Version = "5.49.1+loopback.standin"

const schema = `{"name":"cloudflare","version":"` + Version + `","description":"Stand-in for the official Cloudflare plugin: loopback only, a small part of it, never for a real account."}`

// plugin is one configured instance; the engine configures before it does anything else.
type plugin struct {
	api    *client
	table  map[string]resource
	log    *slog.Logger
	getenv func(string) string
}

// Run serves the plugin to the engine until the engine goes, also when it is killed.
func Run(ctx context.Context, log *slog.Logger) error {
	log.Info("this is a stand-in for the official Cloudflare plugin; it talks to a loopback API only", "version", Version)
	return New(log, os.Getenv).Run(parent.While(ctx), "cloudflare", Version)
}

// New is the plugin as a provider that can also be served inside a test.
func New(log *slog.Logger, getenv func(string) string) p.Provider {
	s := &plugin{table: table(), log: log, getenv: getenv}
	return p.Provider{
		GetSchema: func(context.Context, p.GetSchemaRequest) (p.GetSchemaResponse, error) {
			return p.GetSchemaResponse{Schema: schema}, nil
		},
		CheckConfig: func(_ context.Context, r p.CheckRequest) (p.CheckResponse, error) {
			return p.CheckResponse{Inputs: r.Inputs}, nil
		},
		DiffConfig: func(context.Context, p.DiffRequest) (p.DiffResponse, error) { return p.DiffResponse{}, nil },
		Configure:  s.configure,
		Invoke:     s.invoke,
		Check:      s.check,
		Diff:       s.diff,
		Create:     s.create,
		Read:       s.read,
		Update:     s.update,
		Delete:     s.delete,
	}
}

func (s *plugin) configure(_ context.Context, r p.ConfigureRequest) error {
	api, err := newClient(settingsOf(r.Args, s.getenv))
	if err != nil {
		return err
	}
	s.api = api
	return nil
}

func (s *plugin) lookup(token string) (resource, error) {
	r, ok := s.table[token]
	if !ok {
		return r, fault.New(fault.Unsupported, "the stand-in Cloudflare plugin does not serve %s", token).
			WithHint("install the official plugin: pulumi plugin install resource cloudflare 5.49.1")
	}
	return r, nil
}

func (s *plugin) check(_ context.Context, r p.CheckRequest) (p.CheckResponse, error) {
	res, err := s.lookup(string(r.Urn.Type()))
	if err != nil {
		return p.CheckResponse{}, err
	}
	out := p.CheckResponse{Inputs: r.Inputs}
	for key := range r.Inputs.AllStable {
		if !res.allows(key) {
			out.Failures = append(out.Failures, p.CheckFailure{Property: key, Reason: "no such property"})
		}
	}
	for _, key := range res.required {
		if v, ok := r.Inputs.GetOk(key); !ok || v.IsNull() {
			out.Failures = append(out.Failures, p.CheckFailure{Property: key, Reason: "missing required property"})
		}
	}
	return out, nil
}

// diff compares the recorded state with the new inputs, as a bridged plugin does.
func (s *plugin) diff(_ context.Context, r p.DiffRequest) (p.DiffResponse, error) {
	res, err := s.lookup(string(r.Urn.Type()))
	if err != nil {
		return p.DiffResponse{}, err
	}
	out := p.DiffResponse{DetailedDiff: map[string]p.PropertyDiff{}}
	for _, key := range changedKeys(r) {
		kind := p.Update
		if slices.Contains(res.replace, key) {
			kind = p.UpdateReplace
		}
		out.HasChanges = true
		out.DetailedDiff[key] = p.PropertyDiff{Kind: kind, InputDiff: true}
	}
	return out, nil
}

func changedKeys(r p.DiffRequest) []string {
	keys := map[string]bool{}
	for key, v := range r.Inputs.All {
		old, ok := r.State.GetOk(key)
		keys[key] = !ok || !sameValue(old, v)
	}
	for key := range r.OldInputs.All {
		if _, ok := r.Inputs.GetOk(key); !ok {
			keys[key] = true
		}
	}
	var changed []string
	for key, differs := range keys {
		if differs && key != "__defaults" && !slices.Contains(r.IgnoreChanges, key) {
			changed = append(changed, key)
		}
	}
	sort.Strings(changed)
	return changed
}

// cronID is the checksum of the script name, which the official plugin uses as the id of a script's cron triggers.
func cronID(script string) string {
	sum := md5.Sum([]byte(script)) // its id by the official plugin's definition, not a protection
	return hex.EncodeToString(sum[:])
}

func settingsOf(args property.Map, getenv func(string) string) settings {
	get := func(key string) string {
		if v, ok := args.GetOk(key); ok && v.IsString() {
			return v.AsString()
		}
		return ""
	}
	return settings{token: get("apiToken"), host: get("apiHostname"), basePath: get("apiBasePath"), caFile: getenv("SSL_CERT_FILE")}.orElse(getenv)
}
