package standin

import (
	"encoding/pem"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	p "github.com/pulumi/pulumi-go-provider"
	presource "github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"github.com/cognomega/edge/internal/localcloud/api"
	"github.com/cognomega/edge/internal/localcloud/api/apitest"
)

// bed is a configured plugin and the account that it works on.
type bed struct {
	*apitest.Bed
	t *testing.T
	p p.Provider
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{Bed: apitest.New(t), t: t}
	secure := httptest.NewTLSServer(api.New(api.Config{Store: b.Store, Runtime: b.Runtime, AccountID: apitest.AccountID, AccountName: "test"}))
	t.Cleanup(secure.Close)
	address, err := url.Parse(secure.URL)
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"CLOUDFLARE_API_TOKEN": apitest.Token, "CLOUDFLARE_API_HOSTNAME": address.Host, "SSL_CERT_FILE": ca}
	b.p = New(slog.New(slog.DiscardHandler), func(name string) string { return env[name] })
	if err := b.p.Configure(t.Context(), p.ConfigureRequest{}); err != nil {
		t.Fatal(err)
	}
	return b
}

func urnOf(token string) presource.URN {
	return presource.NewURN("local", "test", "", tokens.Type(token), "thing")
}

func props(kv ...any) property.Map {
	m := map[string]property.Value{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i].(string)] = toProperty(kv[i+1])
	}
	return property.NewMap(m)
}

func toProperty(v any) property.Value {
	switch v := v.(type) {
	case string:
		return property.New(v)
	case bool:
		return property.New(v)
	case float64:
		return property.New(v)
	case []string:
		list := make([]property.Value, 0, len(v))
		for _, s := range v {
			list = append(list, property.New(s))
		}
		return property.New(property.NewArray(list))
	case property.Map:
		return property.New(v)
	default:
		panic("no such property in these tests")
	}
}

func (b *bed) create(token string, in property.Map) string {
	b.t.Helper()
	made, err := b.p.Create(b.t.Context(), p.CreateRequest{Urn: urnOf(token), Properties: in})
	if err != nil || made.ID == "" {
		b.t.Fatalf("create %s: id %q, %v", token, made.ID, err)
	}
	return made.ID
}

func (b *bed) read(token, id string, in property.Map) (p.ReadResponse, error) {
	return b.p.Read(b.t.Context(), p.ReadRequest{ID: id, Urn: urnOf(token), Properties: in, Inputs: in})
}

func origin(host string) property.Map {
	return props("scheme", "postgres", "host", host, "port", 5432.0, "database", "app", "user", "app", "password", "hunter2-hunter2")
}

// story is one type's life: made, read, changed, deleted.
type story struct {
	token         string
	first, second property.Map
	replaces      bool   // going from first to second
	gone          string // what a read of the deleted resource is: "gone", or an error with these words
	edit          func(b *bed, id string)
	seen          string // property in which a read shows the edit; "" for the reads that are too weak to see it
}

func stories() map[string]story {
	account, zone := apitest.AccountID, apitest.ZoneID
	return map[string]story{
		"kv": {
			token: typeKV, first: props("accountId", account, "title", "one"), second: props("accountId", account, "title", "two"), gone: "gone",
			edit: func(b *bed, id string) {
				b.Account(b.t, "PUT", "/storage/kv/namespaces/"+id, map[string]any{"title": "stolen"})
			},
		},
		"queue": {
			token: typeQueue, first: props("accountId", account, "name", "one"), gone: "gone",
			edit: func(b *bed, id string) {
				b.Account(b.t, "PATCH", "/queues/"+id, map[string]any{"queue_name": "stolen"})
			},
		},
		"bucket": {
			token: typeBucket, first: props("accountId", account, "name", "one-bucket"), second: props("accountId", account, "name", "two-bucket"),
			replaces: true, gone: "10006",
		},
		"hyperdrive": {
			token: typeHyperdrive, first: props("accountId", account, "name", "one", "origin", origin("db.test")),
			second: props("accountId", account, "name", "one", "origin", origin("db2.test")), gone: "2006",
			edit: func(b *bed, id string) {
				b.Account(b.t, "PATCH", "/hyperdrive/configs/"+id, map[string]any{"origin": map[string]any{
					"scheme": "postgres", "host": "evil.test", "port": 5432, "database": "app", "user": "app", "password": "x",
				}})
			}, seen: "origin",
		},
		"route": {
			token: typeRoute, first: props("zoneId", zone, "pattern", "one.cognomega.localhost/*"),
			second: props("zoneId", zone, "pattern", "two.cognomega.localhost/*"), gone: "gone",
			edit: func(b *bed, id string) {
				b.Zone(b.t, "PUT", "/workers/routes/"+id, map[string]any{"pattern": "stolen.cognomega.localhost/*"})
			}, seen: "pattern",
		},
		"record": {
			token:  typeRecord,
			first:  props("zoneId", zone, "name", "one.cognomega.localhost", "type", "AAAA", "content", "100::", "proxied", true, "ttl", 1.0),
			second: props("zoneId", zone, "name", "one.cognomega.localhost", "type", "AAAA", "content", "101::", "proxied", true, "ttl", 1.0), gone: "gone",
			edit: func(b *bed, id string) { b.Zone(b.t, "PATCH", "/dns_records/"+id, map[string]any{"proxied": false}) }, seen: "proxied",
		},
	}
}

func TestTheLifeOfEveryType(t *testing.T) {
	t.Parallel()
	for name, s := range stories() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			id := b.create(s.token, s.first)
			state := s.first
			if got, err := b.read(s.token, id, state); err != nil || got.ID != id || !got.Properties.Equals(state) {
				t.Errorf("read after create: %+v, %v", got, err)
			}
			if d, err := b.p.Diff(t.Context(), p.DiffRequest{ID: id, Urn: urnOf(s.token), State: state, OldInputs: state, Inputs: state}); err != nil || d.HasChanges {
				t.Errorf("diff of the same: %+v, %v", d, err)
			}
			if s.second.Len() > 0 {
				state = b.change(s, id)
			}
			if s.edit != nil {
				b.edited(s, id, state)
			}
			if err := b.p.Delete(t.Context(), p.DeleteRequest{ID: id, Urn: urnOf(s.token), Properties: b.named(s, state)}); err != nil {
				t.Fatalf("delete: %v", err)
			}
			got, err := b.read(s.token, id, state)
			if s.gone == "gone" && (err != nil || got.ID != "") || s.gone != "gone" && (err == nil || !strings.Contains(err.Error(), s.gone)) {
				t.Errorf("read of the deleted: %+v, %v; want %q", got, err, s.gone)
			}
			if err := b.p.Delete(t.Context(), p.DeleteRequest{ID: id, Urn: urnOf(s.token), Properties: state}); err == nil {
				t.Error("deleting what is gone succeeds, which it does not with the official plugin")
			}
		})
	}
}

// named is the state under the name that the edit gave the resource, for the type that is deleted by name.
func (b *bed) named(s story, state property.Map) property.Map {
	if s.token == typeQueue {
		return state.Set("name", property.New("stolen"))
	}
	return state
}

func (b *bed) change(s story, id string) property.Map {
	b.t.Helper()
	d, err := b.p.Diff(b.t.Context(), p.DiffRequest{ID: id, Urn: urnOf(s.token), State: s.first, OldInputs: s.first, Inputs: s.second})
	if err != nil || len(d.DetailedDiff) != 1 {
		b.t.Fatalf("diff: %+v, %v", d, err)
	}
	for key, one := range d.DetailedDiff {
		if (one.Kind == p.UpdateReplace) != s.replaces {
			b.t.Errorf("changing %s is %s", key, one.Kind)
		}
	}
	_, err = b.p.Update(b.t.Context(), p.UpdateRequest{ID: id, Urn: urnOf(s.token), State: s.first, OldInputs: s.first, Inputs: s.second})
	if s.replaces {
		if err == nil || !strings.Contains(err.Error(), "Not implemented") {
			b.t.Errorf("update: %v", err)
		}
		return s.first
	}
	if err != nil {
		b.t.Fatalf("update: %v", err)
	}
	return s.second
}

func (b *bed) edited(s story, id string, state property.Map) {
	b.t.Helper()
	s.edit(b, id)
	got, err := b.read(s.token, id, state)
	if err != nil || got.ID != id {
		b.t.Fatalf("read after an edit: %+v, %v", got, err)
	}
	if s.seen == "" {
		if !got.Properties.Equals(state) {
			b.t.Errorf("the read sees an edit that the official plugin's does not: %v", got.Properties)
		}
		return
	}
	if got.Properties.Get(s.seen).Equals(state.Get(s.seen)) {
		b.t.Errorf("the read does not see that %s was edited", s.seen)
	}
	if v := got.Properties.Get("origin"); v.IsMap() && v.AsMap().Get("password").AsString() != "hunter2-hunter2" {
		b.t.Error("the read forgets the password, which the API does not give back")
	}
}
