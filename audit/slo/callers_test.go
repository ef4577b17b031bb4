package slo

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// till is a platform with balances: it mints tokens that name their account, takes credits, and answers from its copies, which
// it makes of accounts with credits alone. It says which way an answer came, or lies by what rule it is given.
type till struct {
	mu    sync.Mutex
	has   map[string]bool // accounts with credits
	asked map[string]int  // balances shown, by account
	says  func(hit bool) string
}

func (s *till) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var body struct{ Email string }
	if r.Method == http.MethodPost {
		if r.Header.Get("X-Admin-Key") != "the-key" || json.NewDecoder(r.Body).Decode(&body) != nil || body.Email == "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
	}
	switch r.URL.Path {
	case "/auth/token":
		fmt.Fprintf(w, `{"token":"a.%s.c"}`, strings.ReplaceAll(body.Email, ".", "_"))
	case adjustPath:
		s.has[strings.ReplaceAll(body.Email, ".", "_")] = true
	default:
		parts := strings.Split(r.Header.Get("Authorization"), ".")
		if len(parts) != 3 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.asked[parts[1]]++
		w.Header().Set("X-Cache", s.says(s.has[parts[1]]))
	}
}

func honest(hit bool) string {
	if hit {
		return "HIT"
	}
	return "MISS"
}

func withTill(t *testing.T, as contract.As, want string, says func(bool) string) (*audit.Target, *till, audit.Check) {
	t.Helper()
	s := &till{has: map[string]bool{}, asked: map[string]int{}, says: says}
	tt := service(t, 5000, s.ServeHTTP)
	o := tt.Contract.SLO["o"]
	o.Probe.As, o.Probe.Answer = as, contract.Answer{Header: "X-Cache", Value: want}
	tt.Contract.SLO["o"] = o
	tt.Contract.HTTP.Paths["/p"] = contract.Path{Methods: []string{"GET"}, Worker: "w", Auth: contract.AccessToken}
	tt.AdminKey = func() (string, error) { return "the-key", nil }
	plan := Plan{Rate: 200, Requests: 100, WarmUp: 5, Workers: 50}
	return tt, s, Check("o", o, Options{Plan: plan})
}

// TestWarmAndColdAreApart: warm requests are of one account with a copy, cold ones each of an account of its own.
func TestWarmAndColdAreApart(t *testing.T) {
	t.Parallel()
	for want, as := range map[string]contract.As{"HIT": contract.AsAccount, "MISS": contract.AsStrangers} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			tt, s, check := withTill(t, as, want, honest)
			r, err := check.Run(t.Context(), tt)
			if err != nil || r.Verdict != audit.Pass {
				t.Fatalf("%v %+v", err, r)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if warm := as == contract.AsAccount; warm != (len(s.asked) == 1) || warm != (len(s.has) == 1) {
				t.Errorf("%d accounts asked, %d have credits", len(s.asked), len(s.has))
			}
			for account, n := range s.asked {
				if as == contract.AsStrangers && n != 1 {
					t.Errorf("%s was asked about %d times: its answer may have been kept", account, n)
				}
			}
			if raw, _ := json.Marshal(r); strings.Contains(string(raw), "slo_invalid") || strings.Contains(string(raw), "the-key") {
				t.Errorf("a token or the key is in the evidence: %s", raw)
			}
		})
	}
}

// TestAnAnswerFromElsewhereProvesNothing: cold answers however quick are no proof of warm ones, all of them or some.
func TestAnAnswerFromElsewhereProvesNothing(t *testing.T) {
	t.Parallel()
	tt, _, check := withTill(t, contract.AsStrangers, "HIT", honest)
	if _, err := check.Run(t.Context(), tt); !errors.Is(err, fault.Inconclusive) || !strings.Contains(err.Error(), `none of 5 answers had X-Cache: HIT, but 5 × "MISS"`) {
		t.Errorf("all of them: %v", err)
	}
	n := 0
	tt, _, check = withTill(t, contract.AsAccount, "HIT", func(bool) string { n++; return honest(n%3 > 0) })
	r, err := check.Run(t.Context(), tt)
	if err != nil || r.Verdict != audit.Inconclusive || !strings.Contains(r.Summary, "answers did not have X-Cache: HIT") {
		t.Fatalf("a third of them: %v %+v", err, r)
	}
	e := r.Evidence.(Evidence)
	e.Elsewhere = nil
	if again, err := judge(tt, "o", e); err == nil && again.Verdict == audit.Inconclusive {
		t.Errorf("it was not the answers from elsewhere that kept it from passing: %+v", again)
	}
}

func TestNobodyCanBeMadeUpWithoutTheKey(t *testing.T) {
	t.Parallel()
	tt, s, check := withTill(t, contract.AsStrangers, "MISS", honest)
	tt.AdminKey = nil
	if _, err := check.Run(t.Context(), tt); err == nil || len(s.asked) > 0 {
		t.Errorf("got %v after %d requests", err, len(s.asked))
	}
	tt.AdminKey = func() (string, error) { return "another", nil }
	if _, err := check.Run(t.Context(), tt); !errors.Is(err, fault.Denied) || len(s.asked) > 0 {
		t.Errorf("got %v after %d requests", err, len(s.asked))
	}
}
