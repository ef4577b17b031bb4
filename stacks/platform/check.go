package platform

import (
	"errors"
	"maps"
	"regexp"
	"slices"

	"github.com/cognomega/edge/internal/fault"
)

// check finds what would otherwise fail half-way through a deployment, and lists all of it.
func (in Inputs) check() error {
	var problems []error
	add := func(format string, args ...any) {
		problems = append(problems, fault.New(fault.Invalid, format, args...))
	}
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(in.AccountID) {
		add("the account id %q is not 32 hex digits (CLOUDFLARE_ACCOUNT_ID)", in.AccountID)
	}
	for _, name := range slices.Sorted(maps.Keys(in.Spec.Workers)) {
		w := in.Spec.Workers[name]
		if len(in.Bundles[name].Modules) == 0 {
			add("worker %q has no bundle", name)
		}
		for _, b := range w.Bindings {
			in.checkBinding(name, b, add)
		}
		for _, c := range w.Consumes {
			for _, q := range []string{c.Queue, c.DeadLetter} {
				if _, ok := in.Spec.Queues[q]; q != "" && !ok {
					add("worker %q consumes the queue %q, which is not declared", name, q)
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(in.Spec.Hyperdrives)) {
		secret := in.Spec.Hyperdrives[name].URLSecret
		if in.Secrets[secret] == "" {
			add("hyperdrive %q wants the secret %s, which has no value (COGNOMEGA_SECRETS_FILE)", name, secret)
		} else if _, err := parseOrigin(in.Secrets[secret]); err != nil {
			add("hyperdrive %q, secret %s: %w", name, secret, err)
		}
	}
	return errors.Join(problems...)
}

func (in Inputs) checkBinding(worker string, b Binding, add func(string, ...any)) {
	known := true
	switch b.Kind {
	case "kv":
		_, known = in.Spec.Namespaces[b.Ref]
	case "r2":
		_, known = in.Spec.Buckets[b.Ref]
	case "queue":
		_, known = in.Spec.Queues[b.Ref]
	case "hyperdrive":
		_, known = in.Spec.Hyperdrives[b.Ref]
	case "service":
		_, known = in.Spec.Workers[b.Ref]
	case "durable_object":
		_, known = in.Spec.Workers[b.Ref]
		known = known || b.Ref == ""
	case "secret":
		if in.Secrets[b.Name] == "" && !b.Optional {
			add("worker %q wants the secret %s, which has no value (COGNOMEGA_SECRETS_FILE)", worker, b.Name)
		}
	case "var", "ai", "version_metadata":
	default:
		add("worker %q: binding %s is of the unknown kind %q", worker, b.Name, b.Kind)
	}
	if !known {
		add("worker %q: binding %s names the %s %q, which is not declared", worker, b.Name, b.Kind, b.Ref)
	}
}
