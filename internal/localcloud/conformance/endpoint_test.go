package conformance

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/cloudflare/cloudflare-go"
)

// Endpoint is an API to hold against the suite, with an account and a zone it may use.
type Endpoint struct {
	BaseURL, Token, AccountID, ZoneID string
	Live                              bool // slower, shared with others, eventually consistent
}

// bed is one client of one endpoint, and a name that nobody else uses.
type bed struct {
	Endpoint
	*cloudflare.API
	account, zone *cloudflare.ResourceContainer
	zoneName      string
	name          string
}

func newBed(t *testing.T) *bed {
	t.Helper()
	e := endpoint(t)
	options := []cloudflare.Option{cloudflare.BaseURL(e.BaseURL)}
	if !e.Live {
		options = append(options, cloudflare.UsingRateLimit(10_000), cloudflare.UsingRetryPolicy(0, 0, 0))
	}
	api, err := cloudflare.NewWithAPIToken(e.Token, options...)
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{Endpoint: e, API: api, account: cloudflare.AccountIdentifier(e.AccountID), zone: cloudflare.ZoneIdentifier(e.ZoneID), name: unique()}
	zone, err := api.ZoneDetails(t.Context(), e.ZoneID)
	if err != nil {
		t.Fatal(err)
	}
	b.zoneName = zone.Name
	return b
}

func unique() string {
	var random [5]byte
	_, _ = rand.Read(random[:])
	return "conformance-" + hex.EncodeToString(random[:])
}

// code is the API's own number in an error of the client.
func code(err error) int {
	var e interface{ ErrorCodes() []int }
	if errors.As(err, &e) && len(e.ErrorCodes()) > 0 {
		return e.ErrorCodes()[0]
	}
	return 0
}

func wantCode(t *testing.T, what string, err error, codes ...int) {
	t.Helper()
	for _, c := range codes {
		if code(err) == c {
			return
		}
	}
	t.Errorf("%s: got error %v (code %d), want code %v", what, err, code(err), codes)
}

func must[T any](v T, err error) func(*testing.T, string) T {
	return func(t *testing.T, what string) T {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return v
	}
}

func ok(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// eventually repeats a check that a real account may need time for.
func (b *bed) eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Second)
	if b.Live {
		deadline = time.Now().Add(90 * time.Second)
	}
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: %v", what, err)
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("%s: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// cleanup removes what a test made, also when it failed; a test's own context has ended by then.
func (b *bed) cleanup(t *testing.T, what string, remove func(context.Context) error) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		var missing *cloudflare.NotFoundError
		if err := remove(ctx); err != nil && !errors.As(err, &missing) {
			t.Errorf("%s: %v", what, err)
		}
	})
}

// upload makes a throwaway script that the test's end deletes.
func (b *bed) upload(t *testing.T, source string, bindings map[string]cloudflare.WorkerBinding) string {
	t.Helper()
	name := unique()
	must(b.UploadWorker(t.Context(), b.account, cloudflare.CreateWorkerParams{
		ScriptName: name, Script: source, Module: true, CompatibilityDate: "2025-01-01", Bindings: bindings,
	}))(t, "upload "+name)
	b.cleanup(t, "delete script "+name, func(ctx context.Context) error {
		_, err := b.Raw(ctx, http.MethodDelete, "/accounts/"+b.AccountID+"/workers/scripts/"+name+"?force=true", nil, nil)
		return err
	})
	return name
}

const hello = `export default { async fetch(request, env) { return new Response("hello"); } };`
