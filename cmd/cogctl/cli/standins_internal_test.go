package cli

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cognomega/edge/audit/cors"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/localcloud/api/apitest"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// brokenAccount is an account with one Worker in workerd.
type brokenAccount struct {
	*apitest.Bed
	t   *testing.T
	api *cfapi.Client
}

const ownCode = `export default { fetch() { return new Response("own"); } };`

func newBrokenAccount(t *testing.T) *brokenAccount {
	t.Helper()
	b := apitest.NewWorkerd(t)
	api, err := cfapi.New(cfapi.Config{BaseURL: b.URL, Token: apitest.Token, AccountID: apitest.AccountID})
	a := &brokenAccount{b, t, api}
	a.must(err)
	secret, text := "kept", "plain"
	_, err = api.PutScript(t.Context(), "svc", cfapi.ScriptUpload{
		Modules:    []cfapi.Module{{Name: "index.js", Type: "application/javascript+module", Content: []byte(ownCode)}},
		MainModule: "index.js", CompatibilityDate: "2025-01-01", CompatibilityFlags: []string{"nodejs_compat"},
		Bindings: []cfapi.Binding{{Name: "S", Type: "secret_text", Text: &secret}, {Name: "P", Type: "plain_text", Text: &text}},
		Limits:   &cfapi.Limits{CPUMS: 40}, Observability: &cfapi.Observability{Enabled: true}, TailConsumers: []cfapi.TailConsumer{}, Tags: []string{"ours"}, Annotations: map[string]string{"workers/tag": "bundle-1"},
	})
	a.must(err)
	return a
}

func (a *brokenAccount) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// state is all that there is of a Worker and its newest version, secrets included, but what tells one version from another.
func (a *brokenAccount) state() (s store.Script, v store.Version) {
	a.t.Helper()
	a.must(a.Store.View(func(tx *store.Tx) error {
		if err := tx.Get(store.Scripts, "svc", &s); err != nil {
			return err
		}
		all, err := store.All[store.Version](tx, store.Versions, "svc/")
		if err == nil {
			v = slices.MaxFunc(all, func(x, y store.Version) int { return x.Number - y.Number })
		}
		return err
	}))
	if serves := s.Deployments[0].Versions; len(serves) != 1 || serves[0].VersionID != v.ID {
		a.t.Errorf("%+v serves, and the newest version is %s", serves, v.ID)
	}
	s.Deployments, s.LastVersion, s.Modified = nil, 0, s.Created
	v.ID, v.Number, v.Created, v.StartupMS = "", 0, s.Created, 0
	return s, v
}

// A Worker that was broken is put back whole, however the run that broke it ended: its code, its settings, its secrets, and that
// its secrets can be edited.
func TestWhatWasBrokenIsPutBackWhole(t *testing.T) {
	t.Parallel()
	tests := map[string]func(a *brokenAccount){
		"in every way, and mended each time": func(a *brokenAccount) {
			for _, status := range []int{0, 429, 503} {
				restore, err := breaker(a.api)(a.t.Context(), []string{"svc"}, status)
				a.must(err)
				code, err := a.api.ScriptContent(a.t.Context(), "svc")
				if err != nil || string(code[0].Content) != cors.StandIn(status) {
					a.t.Fatalf("%v: %s serves", err, code)
				}
				a.must(restore(a.t.Context()))
			}
		},
		"and the run was killed": func(a *brokenAccount) { a.must(putStandIn(a.t.Context(), a.api, "svc", 500)) },
		"and two runs were killed, the second one while it mended": func(a *brokenAccount) {
			versions, err := a.api.Versions(a.t.Context(), "svc")
			a.must(err)
			a.must(putStandIn(a.t.Context(), a.api, "svc", 500))
			a.must(putStandIn(a.t.Context(), a.api, "svc", 502))
			a.must(a.api.Deploy(a.t.Context(), "svc", versions[0].ID, ""))
		},
	}
	for name, breakIt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newBrokenAccount(t)
			script, version := a.state()
			breakIt(a)
			_, err := mendStandIns(t.Context(), a.api, []string{"svc", "not-there"})
			a.must(err)
			mendedScript, mended := a.state()
			if !reflect.DeepEqual(script, mendedScript) || !reflect.DeepEqual(version, mended) {
				t.Errorf("before %+v\n%+v\nafter  %+v\n%+v", script, version, mendedScript, mended)
			}
			a.must(a.api.PatchSecrets(t.Context(), "svc", map[string]string{"NEXT": "x"}))
			if again, err := mendStandIns(t.Context(), a.api, []string{"svc"}); err != nil || len(again) != 0 {
				t.Errorf("nothing was left to mend: %v, %v", again, err)
			}
		})
	}
}

// A stand-in without bindings serves: the Worker's own are taken over from its own version.
func TestStandInWithoutBindingsIsMended(t *testing.T) {
	t.Parallel()
	a := newBrokenAccount(t)
	_, version := a.state()
	_, err := a.api.PutScript(t.Context(), "svc", cfapi.ScriptUpload{
		Modules:    []cfapi.Module{{Name: "worker.js", Type: "application/javascript+module", Content: []byte(cors.StandIn(0))}},
		MainModule: "worker.js", CompatibilityDate: "2026-11-01", Annotations: map[string]string{"workers/message": standInMessage},
	})
	a.must(err)
	mended, err := mendStandIns(t.Context(), a.api, []string{"svc"})
	if _, after := a.state(); err != nil || len(mended) != 1 || !reflect.DeepEqual(version.Bindings, after.Bindings) || version.ETag != after.ETag {
		t.Errorf("%v, %v: %+v", mended, err, after)
	}
}

// What somebody else left undeployed is not taken for the Worker, nor lost.
func TestAnUndeployedVersionIsNotBroken(t *testing.T) {
	t.Parallel()
	a := newBrokenAccount(t)
	versions, err := a.api.Versions(t.Context(), "svc")
	a.must(err)
	a.must(a.api.PatchSecrets(t.Context(), "svc", map[string]string{"NEXT": "x"}))
	a.must(a.api.Deploy(t.Context(), "svc", versions[0].ID, "rolled back"))
	if _, err := breaker(a.api)(t.Context(), []string{"svc"}, 500); err == nil || !strings.Contains(err.Error(), "is not the one that serves") {
		t.Errorf("broke it: %v", err)
	}
}

// What Cloudflare says itself of a version, such as that a secret was edited, is not uploaded with the next.
func TestWhatCloudflareSaysOfAVersionIsNotUploaded(t *testing.T) {
	t.Parallel()
	a := newBrokenAccount(t)
	a.must(a.api.PatchSecrets(t.Context(), "svc", map[string]string{"NEXT": "x"}))
	if _, v := a.state(); v.Annotations["workers/triggered_by"] != "secret" {
		t.Fatalf("a version that a secret made says %v", v.Annotations)
	}
	a.must(putStandIn(t.Context(), a.api, "svc", 500))
	_, err := mendStandIns(t.Context(), a.api, []string{"svc"})
	a.must(err)
	if _, v := a.state(); !reflect.DeepEqual(v.Annotations, map[string]string{"workers/tag": "bundle-1"}) {
		t.Errorf("the version that was uploaded says %v", v.Annotations)
	}
}
