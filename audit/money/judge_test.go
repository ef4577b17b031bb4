package money

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

func at() time.Time { return time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC) }

func target(t *testing.T) *audit.Target {
	t.Helper()
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	return &audit.Target{Env: "local", Hostname: "api.cognomega.localhost", BaseURL: &url.URL{Scheme: "https", Host: "api.cognomega.localhost:8443"}, Contract: c, Now: at}
}

func amount(n int64) *int64 { return &n }

func goodCredits() CreditsEvidence {
	return CreditsEvidence{
		URL: "https://api.cognomega.localhost:8443/api/credits", At: at(), Account: "proof-1@money.invalid", Given: 5, AdjustStatus: 200,
		Ledger: 5, KV: amount(5), Shown: amount(5), AgreedMS: 40, Planted: 9, PlantShown: amount(9),
	}
}

func goodDrain() DrainEvidence {
	books := Books{Events: 3, Micro: 300, IDs: digest([]string{"a", "b", "c"})}
	return DrainEvidence{
		URL: "https://api.cognomega.localhost:8443/api/billing/usage", At: at(), Account: "proof-1@money.invalid", Sent: 3, Statuses: map[int]int{202: 3},
		SentMS: 10, Accepted: books, Ledger: books, DrainMS: 1000,
	}
}

// outcome judges evidence as a file would hold it, and names the verdict and the codes found.
func outcome(t *testing.T, c audit.Check, evidence any) string {
	t.Helper()
	raw, err := json.Marshal(evidence)
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Judge(target(t), raw)
	if err != nil {
		if !errors.Is(err, fault.Denied) {
			t.Errorf("%v, want it denied", err)
		}
		return "misfit"
	}
	codes := []string{string(r.Verdict)}
	for _, f := range r.Findings {
		codes = append(codes, f.Code)
	}
	return strings.Join(codes, " ")
}

func TestCreditsAreJudgedByWhatWasSeen(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil func(*CreditsEvidence)
		want  string
	}{
		"all agree":                      {func(*CreditsEvidence) {}, "pass"},
		"the operator was refused":       {func(e *CreditsEvidence) { e.AdjustStatus = 503 }, "fail adjust_refused"},
		"no copy in KV":                  {func(e *CreditsEvidence) { e.KV = nil }, "fail credits_differ"},
		"another copy in KV":             {func(e *CreditsEvidence) { e.KV = amount(4) }, "fail credits_differ"},
		"a balance that is not shown":    {func(e *CreditsEvidence) { e.Shown = nil }, "fail credits_differ"},
		"all agree on what is not right": {func(e *CreditsEvidence) { e.Ledger, e.KV, e.Shown = 4, amount(4), amount(4) }, "fail credits_differ"},
		"agreement that came late":       {func(e *CreditsEvidence) { e.AgreedMS = 60_001 }, "fail credits_differ"},
		"agreement just in time":         {func(e *CreditsEvidence) { e.AgreedMS = 60_000 }, "pass"},
		"read from elsewhere than KV":    {func(e *CreditsEvidence) { e.PlantShown = amount(5) }, "fail credits_not_from_kv"},
		"never looked":                   {func(e *CreditsEvidence) { e.PlantShown = nil }, "fail credits_not_from_kv"},
		"of another platform":            {func(e *CreditsEvidence) { e.URL = "https://api.example.test/api/credits" }, "misfit"},
		"of another day":                 {func(e *CreditsEvidence) { e.At = at().Add(-24 * time.Hour) }, "misfit"},
	}
	for name, tt := range tests {
		e := goodCredits()
		tt.spoil(&e)
		if got := outcome(t, Credits(), e); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestADrainIsJudgedByTheBooks(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil func(*DrainEvidence)
		want  string
	}{
		"exact":              {func(*DrainEvidence) {}, "pass"},
		"one is missing":     {func(e *DrainEvidence) { e.Ledger.Events, e.Ledger.Micro = 2, 200 }, "fail usage_not_exact"},
		"one is there twice": {func(e *DrainEvidence) { e.Ledger.Events, e.Ledger.Micro = 4, 400 }, "fail usage_not_exact"},
		"another price":      {func(e *DrainEvidence) { e.Ledger.Micro = 301 }, "fail usage_not_exact"},
		"another id":         {func(e *DrainEvidence) { e.Ledger.IDs = digest([]string{"a", "b", "d"}) }, "fail usage_not_exact"},
		"one was refused": {func(e *DrainEvidence) {
			e.Accepted.Events = 2
			e.Ledger = e.Accepted
			e.Statuses = map[int]int{202: 2, 429: 1}
		}, "fail usage_refused"},
		"nothing was sent":           {func(e *DrainEvidence) { e.Sent, e.Accepted, e.Ledger, e.Statuses = 0, Books{}, Books{}, nil }, "fail usage_refused"},
		"some still wait":            {func(e *DrainEvidence) { e.Backlog = 1 }, "fail queue_late"},
		"the last came late":         {func(e *DrainEvidence) { e.DrainMS = 120_001 }, "fail queue_late"},
		"of another platform's path": {func(e *DrainEvidence) { e.URL = "https://api.cognomega.localhost:8443/usage" }, "misfit"},
	}
	for name, tt := range tests {
		e := goodDrain()
		tt.spoil(&e)
		if got := outcome(t, Drain(3), e); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func goodOffPath() OffPathEvidence {
	e := OffPathEvidence{URL: goodDrain().URL, At: at(), Account: "proof-1@money.invalid", StoppedS: 30, Statuses: map[int]int{202: 400}}
	for range 200 {
		e.Normal, e.Stopped = append(e.Normal, 10_000), append(e.Stopped, 13_000)
	}
	e.Before = 100
	e.Accepted = Books{Events: 400, Micro: 20_000, IDs: digest(nil)}
	e.Ledger = e.Accepted
	return e
}

func TestAnOutageIsJudgedByItsLatenciesAndBooks(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil func(*OffPathEvidence)
		want  string
	}{
		"just within":             {func(*OffPathEvidence) {}, "pass"},
		"a tenth of them waits":   {func(e *OffPathEvidence) { slow(e.Stopped[:20], 60_000) }, "pass"},
		"more than a tenth waits": {func(e *OffPathEvidence) { slow(e.Stopped[:21], 60_000) }, "fail usage_waits"},
		"just beyond":             {func(e *OffPathEvidence) { slow(e.Stopped, 13_001) }, "fail usage_waits"},
		"a machine that slows down": {func(e *OffPathEvidence) {
			slow(e.Normal[100:], 12_000)
			slow(e.Stopped, 15_601)
		}, "fail usage_waits"},
		"as slow as half of normal": {func(e *OffPathEvidence) {
			slow(e.Normal[:e.Before], 12_000)
			slow(e.Normal[:30], 9_000)
			slow(e.Normal[115:], 9_000)
			slow(e.Stopped, 15_600)
		}, "pass"},
		"a few slow ones before": {func(e *OffPathEvidence) {
			slow(e.Normal[:19], 12_000)
			slow(e.Stopped, 15_600)
		}, "inconclusive"},
		"more before than there are": {func(e *OffPathEvidence) { e.Before = 201 }, "misfit"},
		"one was lost":               {func(e *OffPathEvidence) { e.Ledger.Events-- }, "fail usage_not_exact"},
		"one was refused": {func(e *OffPathEvidence) {
			e.Accepted.Events--
			e.Ledger = e.Accepted
			e.Statuses = map[int]int{202: 399, 503: 1}
		}, "fail usage_refused"},
		"too short an outage":      {func(e *OffPathEvidence) { e.StoppedS = 29.9 }, "inconclusive"},
		"too few requests":         {func(e *OffPathEvidence) { e.Stopped = e.Stopped[:199] }, "inconclusive"},
		"of another platform":      {func(e *OffPathEvidence) { e.URL = "https://api.example.test/api/billing/usage" }, "misfit"},
		"none with the server off": {func(e *OffPathEvidence) { e.Stopped = nil }, "inconclusive"},
	}
	for name, tt := range tests {
		e := goodOffPath()
		tt.spoil(&e)
		if got := outcome(t, OffPath(), e); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func slow(took []int64, us int64) {
	for i := range took {
		took[i] = us
	}
}
