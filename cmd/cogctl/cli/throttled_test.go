package cli_test

import (
	"context"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/api"
	"github.com/cognomega/edge/internal/localcloud/store"
	"github.com/cognomega/edge/internal/term"
)

// throttledBench is a bench whose account can refuse for a while.
func throttledBench(t *testing.T, fake term.Fake) (*bench, *api.Faults) {
	t.Helper()
	b, faults, _ := accountBench(t, fake, token)
	return b, faults
}

// accountBench is a bench with its account at hand, seen with a token.
func accountBench(t *testing.T, fake term.Fake, secret string) (*bench, *api.Faults, *store.Store) {
	t.Helper()
	b, faults := newBench(t, fake), &api.Faults{}
	s, err := store.Open(filepath.Join(t.TempDir(), ".account"), store.Options{Now: now})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	must(t, s.Update(func(tx *store.Tx) error { return seed(tx) }))
	server := httptest.NewServer(api.New(api.Config{Store: s, Runtime: starts{}, AccountID: account, AccountName: "test", Faults: faults}))
	t.Cleanup(server.Close)
	client, err := cfapi.New(cfapi.Config{BaseURL: server.URL + api.Prefix, Token: secret, AccountID: account})
	must(t, err)
	resolve := b.deps.Target
	b.deps.Target = func(ctx context.Context, env string) (*audit.Target, error) {
		target, err := resolve(ctx, env)
		target.API = client
		return target, err
	}
	return b, faults, s
}

// TestAThrottledAPIIsWaitedForAndSaid: 429 with Retry-After is honoured, and people see why nothing moves.
func TestAThrottledAPIIsWaitedForAndSaid(t *testing.T) {
	t.Parallel()
	for _, fake := range []term.Fake{{}, {TTY: true, NoColor: true, Width: 100}} {
		b, faults := throttledBench(t, fake)
		faults.Throttle(2, time.Second)
		if code := b.run("audit", "routes"); code != fault.ExitOK || !strings.Contains(b.err.String(), "waiting 1s before asking again: Cloudflare says 971 Please wait") {
			t.Errorf("exit %d: %s%s", code, b.out, b.err)
		}
	}
}

// TestAThrottledAPIThatAsksForMore ends at once: five minutes are for people to decide.
func TestAThrottledAPIThatAsksForMore(t *testing.T) {
	t.Parallel()
	b, faults := throttledBench(t, term.Fake{})
	faults.Throttle(100, 5*time.Minute)
	if code := b.run("audit", "routes"); code != fault.ExitAPI || !strings.Contains(b.err.String(), "971") || !strings.Contains(b.err.String(), "try again in 5m0s") {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
	faults.Throttle(0, 0)
	faults.Fail(100, 502)
	if code := b.run("env", "snapshot", "--timeout", "2s"); code != fault.ExitAPI || b.out.Len() > 0 {
		t.Errorf("exit %d: %s%s", code, b.out, b.err)
	}
}
