package deploy_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/stacks/deploy"
	"github.com/cognomega/edge/stacks/platform"
)

// Each broken declaration is refused with its rule named, and not one thing is applied: not to the account, not to the state.
func TestAViolationAppliesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(deploy.Up)
	before := w.exported()
	tests := map[string]struct {
		spoil func(*platform.Spec)
		rule  string
	}{
		"bucket without rules": {
			func(s *platform.Spec) { s.Buckets["bare"] = platform.Bucket{Name: "test-bare"} }, "stack_deny_bucket_without_lifecycle",
		},
		"a second owner": {
			func(s *platform.Spec) {
				voice := s.Workers["gateway"]
				voice.Bindings = voice.Bindings[:1]
				s.Workers["voice"] = voice
			}, "stack_deny_hostname_owner",
		},
		"nobody owns the hostname": {
			func(s *platform.Spec) {
				gateway := s.Workers["gateway"]
				gateway.Public = false
				s.Workers["gateway"] = gateway
			}, "stack_deny_hostname_owner",
		},
		"secret as plain text": {
			func(s *platform.Spec) {
				gateway := s.Workers["gateway"]
				gateway.Bindings = append(slices.Clone(gateway.Bindings), platform.Binding{Name: "UPSTREAM", Kind: "var", Ref: "https://app:hunter2-hunter2@db.example.test"})
				s.Workers["gateway"] = gateway
			}, "deny_secret_value",
		},
		"namespace not declared any more": {
			func(s *platform.Spec) {
				delete(s.Namespaces, "keys")
				gateway := s.Workers["gateway"]
				gateway.Bindings = gateway.Bindings[1:]
				s.Workers["gateway"] = gateway
			}, "deny_stateful_delete",
		},
		"class deleted": {
			func(s *platform.Spec) {
				writer := s.Workers["writer"]
				writer.DurableObjects, writer.DeletedClasses = nil, []string{"Limiter"}
				writer.Bindings = writer.Bindings[:3]
				s.Workers["writer"] = writer
			}, "deny_class_delete",
		},
	}
	writes := w.writes.count()
	for name, test := range tests {
		w.spec = everything()
		test.spoil(&w.spec)
		r := w.run(deploy.Up)
		if fault.KindOf(r.err) != fault.Refused || fault.ExitCode(r.err) != fault.ExitRefused {
			r.dump()
			t.Errorf("%s: %v, want it refused", name, r.err)
		}
		if !slices.ContainsFunc(r.of("violation"), func(l deploy.Line) bool { return l.Rule == test.rule && l.Title != "" }) {
			r.dump()
			t.Errorf("%s: no violation of %s", name, test.rule)
		}
		if len(r.of("progress")) > 0 {
			t.Errorf("%s: something was applied", name)
		}
	}
	if n := w.writes.count() - writes; n != 0 {
		t.Errorf("refused runs made %d writes", n)
	}
	// Neither is what up would repair repaired, nor what it would write into the state written.
	w.call(http.MethodPut, w.kvPath(), map[string]any{"title": "stolen"})
	writes = w.writes.count()
	if r := w.run(deploy.Up); !errors.Is(r.err, fault.Refused) || w.writes.count() != writes {
		t.Errorf("with a renamed namespace: %v, %d writes", r.err, w.writes.count()-writes)
	}
	if after := w.exported(); after != before {
		t.Errorf("refused runs changed the state:\n%s\n%s", before, after)
	}
}

// exported is the state of the stack as the file backend has it.
func (w *world) exported() string {
	w.t.Helper()
	return read(w.t, w.dir+"/state/.pulumi/stacks/test/local.json")
}

func TestDeletingDataTakesTheFlag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	protect := func(c *deploy.Config) { c.Protected = true }
	w.protect = true
	w.must(deploy.Up, protect)
	delete(w.spec.Queues, "dead")
	writer := w.spec.Workers["writer"]
	writer.Consumes = []platform.Consumer{{Queue: "events", Batch: 50, Retries: 5}}
	w.spec.Workers["writer"] = writer

	r := w.run(deploy.Up, protect)
	if !errors.Is(r.err, fault.Refused) || !strings.Contains(r.err.Error(), "dead would be deleted") {
		r.dump()
		t.Errorf("without the flag: %v", r.err)
	}
	w.queue("test-dead")
	if got := w.run(deploy.Destroy, protect); !errors.Is(got.err, fault.Refused) {
		t.Errorf("destroy without the flag: %v", got.err)
	}
	allow := func(c *deploy.Config) { c.AllowDelete, c.Protected = true, true }
	w.protect = false
	if got := w.must(deploy.Up, allow).planned(); !slices.Contains(got, "delete Queue dead") {
		t.Errorf("with the flag the plan is %q", got)
	}
	w.must(deploy.Destroy, allow)
	if got := w.must(deploy.Preview, allow).summary(); got["same"] != 0 || got["create"] == 0 {
		t.Errorf("after destroy, preview says %v", got)
	}
}

func TestPreviewWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.must(deploy.Preview)
	if w.writes.count() != 0 || r.summary()["create"] == 0 {
		t.Errorf("preview made %d writes; %v", w.writes.count(), r.summary())
	}
	if len(r.of("progress")) > 0 {
		t.Error("preview applied something")
	}
}

func TestRefreshTakesWhatIsLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(deploy.Up)
	w.call(http.MethodDelete, "/accounts/"+account+"/r2/buckets/test-uploads", nil)
	w.call(http.MethodPost, "/accounts/"+account+"/workers/scripts/gateway/subdomain", map[string]any{"enabled": true})
	writes := w.writes.count()
	if r := w.must(deploy.Refresh); len(r.of("drift")) < 2 {
		r.dump()
		t.Error("refresh does not say what it found")
	}
	if n := w.writes.count() - writes; n != 0 {
		t.Errorf("refresh made %d writes", n)
	}
	got := w.must(deploy.Preview).planned()
	for _, want := range []string{"create R2Bucket uploads", "create R2BucketLifecycle uploads", "update WorkerScript gateway"} {
		if !slices.Contains(got, want) {
			t.Errorf("after refresh, preview plans %q, want %q in it", got, want)
		}
	}
}

// No secret is in the state, in the report or in what the engine keeps beside them.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.must(deploy.Up)
	for _, secret := range []string{"correct-horse-battery", "hunter2-hunter2", token} {
		for _, l := range first.lines {
			if raw := encode(t, l); strings.Contains(raw, secret) {
				t.Errorf("a secret is in the report: %s", raw)
			}
		}
		for _, path := range filesHolding(t, w.dir+"/state", secret) {
			t.Errorf("a secret is in clear in %s", path)
		}
	}
}
