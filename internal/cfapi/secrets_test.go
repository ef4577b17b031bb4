package cfapi_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

const (
	namespacesPath = "/accounts/" + account + "/storage/kv/namespaces"
	secretsPath    = "/accounts/" + account + "/workers/scripts/auth-svc/secrets"
)

func TestNamespacesSayWhatTimeItIs(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 18, 40, 11, 0, time.UTC)
	page := func(result string, date string) answer {
		return answer{200, http.Header{"Date": {date}}, `{"success":true,"result":` + result + `,"result_info":{"page":1,"total_pages":2}}`}
	}
	b := newBed(t, map[string][]answer{"GET " + namespacesPath: {
		page(`[{"id":"1","title":"a"}]`, at.Format(http.TimeFormat)), page(`[{"id":"2","title":"b"}]`, at.Add(time.Hour).Format(http.TimeFormat)),
	}})
	got, now, err := b.NamespacesAt(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]cfapi.Namespace{{ID: "1", Title: "a"}, {ID: "2", Title: "b"}}, got); diff != "" || !now.Equal(at) {
		t.Errorf("%s at %s", diff, now)
	}
	b = newBed(t, map[string][]answer{"GET " + namespacesPath: {page(`[]`, "yesterday")}})
	if _, _, err := b.NamespacesAt(t.Context()); !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "does not say when") {
		t.Errorf("an answer without a date: %v", err)
	}
}

func TestATitleThatIsTaken(t *testing.T) {
	t.Parallel()
	b := newBed(t, map[string][]answer{
		"POST " + namespacesPath:          {ok(`{"id":"1","title":"a"}`), refusal(400, 10014, "a namespace with this account ID and title already exists")},
		"DELETE " + namespacesPath + "/1": {ok(`null`), refusal(404, 10013, "namespace not found")},
	})
	if n, err := b.CreateNamespace(t.Context(), "a"); err != nil || n.ID != "1" {
		t.Fatalf("%+v %v", n, err)
	}
	if _, err := b.CreateNamespace(t.Context(), "a"); !errors.Is(err, fault.Conflict) {
		t.Errorf("a second of that title: %v", err)
	}
	if err := b.DeleteNamespace(t.Context(), "1"); err != nil {
		t.Error(err)
	}
	if err := b.DeleteNamespace(t.Context(), "1"); !errors.Is(err, fault.NotFound) {
		t.Errorf("one that is gone: %v", err)
	}
}

func TestSecretsAreSetTogether(t *testing.T) {
	t.Parallel()
	b := newBed(t, map[string][]answer{
		"PATCH " + secretsPath + "-bulk": {ok(`[]`), refusal(400, 10215, "Secret edit failed."), {status: 500, body: "down"}},
		"GET " + secretsPath:             {ok(`[{"name":"KID","type":"secret_text"}]`)},
	})
	set := func() error {
		return b.PatchSecrets(t.Context(), "auth-svc", map[string]string{"KID": "k2", "PEM": "hush"})
	}
	if err := set(); err != nil {
		t.Fatal(err)
	}
	const want = `{"secrets":{"KID":{"name":"KID","text":"k2","type":"secret_text"},"PEM":{"name":"PEM","text":"hush","type":"secret_text"}}}`
	if got := b.server.bodies[0]; got != want {
		t.Errorf("sent %s", got)
	}
	if err := set(); !errors.Is(err, fault.Conflict) || !strings.Contains(fault.HintOf(err), "deploy it or an older one") {
		t.Errorf("beside an undeployed version: %v (%s)", err, fault.HintOf(err))
	}
	if err := set(); !errors.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "hush") || len(b.waits) > 0 {
		t.Errorf("a failure: %v, waited %v: what may have been carried out is not repeated", err, b.waits)
	}
	if names, err := b.SecretNames(t.Context(), "auth-svc"); err != nil || len(names) != 1 || names[0] != "KID" {
		t.Errorf("%v %v", names, err)
	}
}
