package faults

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

const said = `This is a model answering locally: you said "alpha bravo charlie delta echo foxtrot golf hotel india juliett kilo lima".`

// good is what a platform that holds leaves: every fault on every provider, and four questions and one again in each round.
func good() Evidence {
	e := Evidence{URL: "https://api.cognomega.localhost:8443/api/si/ask", At: at(), Tier: "human"}
	ring := []string{"groq", "cfai", "openai"}
	for i := 0; i < len(plans); i += 2 {
		for turn := range ring {
			one, two, alive := ring[turn], ring[(turn+1)%3], ring[(turn+2)%3]
			r := Round{
				Faults: map[string]string{one: plans[i].name, two: plans[i+1].name}, Tried: map[string]int{one: 3, two: 3, alive: 4},
				Spared: map[string]int{one: 0, two: 0, alive: 2}, Open: []string{one, two}, Account: "proof-1-1@faults.invalid", Ledger: Charged{4, 4 * 25 * 50},
			}
			for _, first := range []string{one, two} {
				a := Asked{First: first, Stream: true, Status: 200, By: alive, Finish: "stop", Text: said, TokensIn: 15, TokensOut: 10, Attempts: 2, TookUS: 40_000}
				again, open := a, a
				open.Open, open.Stream = true, false
				again.Open, again.Again = true, true
				r.Asked = append(r.Asked, a, open, again)
			}
			e.Rounds = append(e.Rounds, r)
		}
	}
	return e
}

// outcome judges evidence as a file would hold it, and names the verdict and the codes found.
func outcome(t *testing.T, e Evidence) string {
	t.Helper()
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Check().Judge(target(t), raw)
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

func TestTheMatrixIsJudgedByWhatWasSeen(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil func(*Evidence)
		want  string
	}{
		"all holds":                        {func(*Evidence) {}, "pass"},
		"nobody answered":                  {func(e *Evidence) { e.Rounds[0].Asked[0].Status = 503 }, "fail not_answered not_charged_once"},
		"a stream without its end":         {func(e *Evidence) { e.Rounds[0].Asked[0].Finish = "error" }, "fail not_answered"},
		"an answer of who was failing":     {func(e *Evidence) { e.Rounds[0].Asked[1].By = "cfai" }, "fail not_answered"},
		"an answer of nobody":              {func(e *Evidence) { e.Rounds[0].Asked[1].By = "" }, "fail not_answered"},
		"words said twice":                 {func(e *Evidence) { e.Rounds[0].Asked[0].Text = strings.Replace(said, "golf", "golf golf", 1) }, "fail not_answered"},
		"words begun again":                {func(e *Evidence) { e.Rounds[0].Asked[0].Text = "alpha bravo " + said }, "fail not_answered"},
		"words lost":                       {func(e *Evidence) { e.Rounds[0].Asked[0].Text = strings.Replace(said, "golf ", "", 1) }, "fail not_answered"},
		"a request to an open breaker":     {func(e *Evidence) { e.Rounds[3].Spared["groq"] = 1 }, "fail open_breaker_asked"},
		"a breaker that did not open":      {func(e *Evidence) { e.Rounds[3].Open = []string{"cfai"} }, "fail breaker_not_open"},
		"a fault that nobody met":          {func(e *Evidence) { e.Rounds[3].Tried["groq"] = 0 }, "fail fault_not_met"},
		"an answer charged twice":          {func(e *Evidence) { e.Rounds[2].Ledger = Charged{5, 5 * 1250} }, "fail not_charged_once"},
		"an answer not charged":            {func(e *Evidence) { e.Rounds[2].Ledger = Charged{3, 3 * 1250} }, "fail not_charged_once"},
		"another price":                    {func(e *Evidence) { e.Rounds[2].Ledger.Micro++ }, "fail not_charged_once"},
		"the answer given again, charged":  {func(e *Evidence) { e.Rounds[2].Asked[2].Again = false }, "fail not_charged_once"},
		"a fault that was not tried":       {func(e *Evidence) { e.Rounds = e.Rounds[3:] }, "inconclusive"},
		"nothing tried":                    {func(e *Evidence) { e.Rounds = nil }, "inconclusive"},
		"a fault not tried, and a finding": {func(e *Evidence) { e.Rounds = e.Rounds[3:]; e.Rounds[0].Spared["groq"] = 9 }, "fail open_breaker_asked"},
		"late while others are left alone": {late, "fail late_without_primary"},
		"of another platform":              {func(e *Evidence) { e.URL = "https://api.example.test/api/si/ask" }, "misfit"},
		"of another day":                   {func(e *Evidence) { e.At = at().Add(-24 * time.Hour) }, "misfit"},
		"of no tier":                       {func(e *Evidence) { e.Tier = "royal" }, "misfit"},
	}
	for name, tt := range tests {
		e := good()
		tt.spoil(&e)
		if got := outcome(t, e); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// late has one in seven answers of Workers AI take longer than its objective allows: more than one in ten.
func late(e *Evidence) {
	n := 0
	for _, r := range e.Rounds {
		for i, a := range r.Asked {
			if a.Open && !a.Again && a.By == "cfai" {
				if n++; n%7 == 0 {
					r.Asked[i].TookUS = 1_300_000
				}
			}
		}
	}
}

func TestFaultsAreTriedInCouples(t *testing.T) {
	t.Parallel()
	all, err := couples(nil)
	if err != nil || len(all)*2 != len(plans) {
		t.Fatalf("%d couples of %d faults (%v)", len(all), len(plans), err)
	}
	if last := all[len(all)-1]; !last[0].slow || !last[1].slow {
		t.Errorf("%s and %s go together: each slow fault costs a time-out, and two at once cost one", last[0].name, last[1].name)
	}
	if some, err := couples([]string{"429", "cut"}); err != nil || len(some) != 2 {
		t.Errorf("429, 429 with Retry-After and cut come to %v (%v)", some, err)
	}
	if _, err := couples([]string{"cut", "rust"}); !errors.Is(err, fault.Invalid) {
		t.Errorf("an unknown fault: %v", err)
	}
}

// A stream's deltas are one text when each has its index; a stream that repeats or leaves out one does not read as if it were whole.
func TestAStreamIsReadInItsOrder(t *testing.T) {
	t.Parallel()
	delta := func(i, text string) string {
		return "event: message\ndata: {\"delta\":\"" + text + "\",\"index\":" + i + "}\n\n"
	}
	done := "event: done\ndata: {\"finish_reason\":\"stop\",\"meta\":{\"provider\":\"cfai\",\"tokens_in\":3,\"tokens_out\":2,\"attempts\":[{},{}]}}\n\n"
	for name, tt := range map[string]struct{ body, text, finish string }{
		"whole":        {delta("0", "a") + delta("1", " b") + done, "a b", "stop"},
		"twice":        {delta("0", "a") + delta("0", "a") + done, "a [0 after 1] a", "stop"},
		"left out":     {delta("0", "a") + delta("2", " c") + done, "a [2 after 1]  c", "stop"},
		"without end":  {delta("0", "a"), "a", ""},
		"not a stream": {`{"error":"x"}`, "", ""},
	} {
		if text, m := streamOf([]byte(tt.body)); text != tt.text || m.Finish != tt.finish {
			t.Errorf("%s: %q %q", name, text, m.Finish)
		}
	}
}
