package report_test

import (
	"math"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/cors"
	"github.com/cognomega/edge/audit/jwks"
	"github.com/cognomega/edge/audit/report"
	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/audit/slo"
	"github.com/cognomega/edge/audit/snapshot"
	"github.com/cognomega/edge/internal/fault"
)

func now() time.Time { return time.Date(2026, 11, 22, 18, 40, 11, 0, time.UTC) }

func f(v float64) *float64 { return &v }

// wholesome is a report of a platform on which everything holds.
func wholesome() *report.Report {
	at := now().Add(-40 * time.Minute)
	check := func(name, title, summary string) report.Check {
		return report.Check{Name: name, Title: title, Verdict: audit.Pass, State: report.Proven, Said: audit.Pass, Summary: summary, At: &at, AgeS: 2400, File: "2026-11-22T18-00-11Z-production-" + name + ".json",
			SignedBy: "ci", Findings: []audit.Finding{}, Command: "cogctl prove phase0 --env production"}
	}
	r := &report.Report{
		Env: "production", Hostname: "api.cognomega.com", At: now(), Tool: "cogctl test", Contract: "2d1b8c2aae941b969926432971d5b3189f1137946d68ac493831c033e4e62f70", MaxAgeS: 86400, Verdict: audit.Pass,
		Headline: "Everything that is promised holds", Todo: report.Todo{What: "Nothing", Why: "the oldest evidence counts until 23 November 2026 18:00 UTC"},
		Checks: []report.Check{
			check("preflight", "preflight 204 on every public path", "13 paths, 416 preflights and 16 reads from 32 origins"),
			check("jwks", "JWKS serves keys, verifies a new token", "kid LFeukUTmIkg4ho10JCfGZ9BpMZIjo9CPudCh_QI6_rQ of 1 published"),
			check("routes", "one Worker owns the hostname", "cognomega-api (route b0fbeedd00112233445566778899aabb), 0 findings in zone cognomega.com"),
			check("slo-ai-binding", "P90 of GET /api/ai/binding ≤ 150 ms", "P90 41.8 ms, 95 % bounds [39.9 ms, 44.6 ms], limit 150 ms, 900 requests, 0 errors"),
		},
		Routes: &report.RouteMap{Owner: "cognomega-api", Zone: "cognomega.com", Proof: "2026-11-22T18-00-11Z-production-routes.json",
			Territories: []routes.Territory{{Scheme: "http and https", Text: "/*", Worker: "cognomega-api", Outcome: "owned", Ours: true, Cause: "route api.cognomega.com/*", ID: "b0fb"}}},
		CORS: matrix(0), Objectives: []report.Objective{objective(41.8, 39.9, 44.6, audit.Pass)}, Unbelieved: []report.Unbelieved{}, Gates: []report.Gate{{Name: "phase0", Verdict: audit.Pass, Because: "The platform stands."}, {Name: "phase1", Verdict: audit.Pass, Because: "Money flows: what is read is the ledger's, and what is used is in it once."}},
		Keys: report.Keys{Sightings: []jwks.Sighting{{At: at, Keys: []jwks.Key{{KID: "LFeukUTmIkg4ho10JCfGZ9BpMZIjo9CPudCh_QI6_rQ"}}, Signer: "LFeukUTmIkg4ho10JCfGZ9BpMZIjo9CPudCh_QI6_rQ"}}},
		Drift: report.Drift{Verdict: audit.Pass, State: report.Proven, At: &at, AgeS: 2400, File: "2026-11-22T18-00-11Z-production.json", Digest: "5f2c", Changes: []snapshot.Change{}, Unseen: []snapshot.Unseen{},
			Holds: map[string]int{"workers": 3, "routes": 1, "dns": 1, "kv_namespaces": 2, "r2_buckets": 2}},
	}
	return r
}

// troubled is a report of a platform with something wrong of every kind.
func troubled() *report.Report {
	r := wholesome()
	r.Verdict, r.Headline = audit.Fail, "3 promises do not hold, and 1 promise is not decided"
	r.Todo = report.Todo{What: "Delete or re-point route 77ab00112233445566778899aabbccdd", Command: "cogctl audit routes --env production",
		Why: "https://api.cognomega.com/api/voice/rooms: Worker voice-preview answers: route api.cognomega.com/api/voice/* (id 77ab00112233445566778899aabbccdd, zone cognomega.com, to voice-preview) is more specific"}
	r.Checks[0].State, r.Checks[0].Verdict, r.Checks[0].Because = report.Stale, audit.Inconclusive, "it is older than 24 h, which is how long evidence counts here"
	r.Checks[2].Verdict, r.Checks[2].Summary = audit.Fail, "cognomega-api (route b0fbeedd00112233445566778899aabb), 2 findings in zone cognomega.com"
	r.Checks[2].Findings = []audit.Finding{
		{Severity: audit.Error, Code: "route_shadow", URL: "https://api.cognomega.com/api/voice/rooms", Got: "voice-preview", Want: "cognomega-api", Hint: "delete or re-point route 77ab00112233445566778899aabbccdd",
			Message: "Worker voice-preview answers: route api.cognomega.com/api/voice/* (id 77ab00112233445566778899aabbccdd, zone cognomega.com, to voice-preview) is more specific"},
		{Severity: audit.Error, Code: "cors_wildcard", URL: "https://api.cognomega.com/api/credits", Got: "*", Want: "none", Message: "GET from origin https://evil.example: Access-Control-Allow-Origin is *, want none",
			Curl: "curl -sS -D - -o /dev/null -H 'Origin: https://evil.example' 'https://api.cognomega.com/api/credits'"},
	}
	r.Checks[3].Verdict = audit.Fail
	r.Checks = append(r.Checks, report.Check{Name: "cors", Title: "one CORS layer on every answer", Verdict: audit.Inconclusive, State: report.NotAsked, Summary: "not looked at"},
		report.Check{Name: "ai-binding", Title: "GET /api/ai/binding is ai_bound", Verdict: audit.Inconclusive, State: report.Missing, Summary: "no evidence"})
	r.Routes.Territories = append(r.Routes.Territories,
		routes.Territory{Scheme: "https", Text: "/api/voice/*", Depth: 1, Worker: "voice-preview", Outcome: "owned", Cause: "route api.cognomega.com/api/voice/*"},
		routes.Territory{Scheme: "https", Text: "/api/voice/healthz/with/a/very/long/path/that/goes/on/and/on/for/ever", Depth: 2, Worker: "a-worker-with-a-very-long-name-that-does-not-fit-anywhere", Outcome: "owned", Cause: "route api.cognomega.com/api/voice/healthz/with/a/very/long/path"},
		routes.Territory{Scheme: "http and https", Text: "/static/*", Depth: 1, Outcome: "null", Cause: "route api.cognomega.com/static/*"},
		routes.Territory{Scheme: "http and https", Text: "/shop/*", Depth: 1, Outcome: "ambiguous", Cause: "route *api.cognomega.com/shop/* and 1 other"},
	)
	r.CORS = matrix(3)
	r.Objectives = []report.Objective{objective(1900, 1700, 2200, audit.Fail), objective(141, 120, 163, audit.Inconclusive), {ID: "credits", Title: "P90 of GET /api/credits ≤ 150 ms", Histogram: []slo.Bucket{}, Verdict: audit.Inconclusive}}
	r.Keys = rotating()
	r.Drift.Verdict, r.Drift.Because = audit.Fail, "the token could not see everything"
	r.Drift.Changes = []snapshot.Change{
		{Op: "added", Path: `routes["api.cognomega.com/api/voice/*"]`, Is: map[string]any{"worker": "voice-preview"}},
		{Op: "changed", Path: "workers.cognomega-api.bindings.ALLOWED_ORIGINS.text", Was: "https://app.cognomega.com,https://www.cognomega.com,https://cognomega.com,https://cognomega-frontend.pages.dev", Is: "*"},
		{Op: "renamed", Path: "kv_namespaces", Was: "cognomega-keys", Is: "cognomega-keys-old"},
	}
	r.Drift.Unseen = []snapshot.Unseen{{Section: "r2_buckets", Why: "Cloudflare says 10000 Authentication error", Hint: "the token lacks 'Account: Workers R2 Storage: Read'"}}
	r.Gates = []report.Gate{{Name: "phase0", Verdict: audit.Fail, Because: "routes does not hold"}, {Name: "phase1", Verdict: audit.Inconclusive, Because: "credits is missing; usage-drain is stale"}, {Name: "promote", Verdict: audit.Inconclusive, Because: "no evidence from staging"}}
	r.Unbelieved = []report.Unbelieved{{File: "2026-11-22T18-30-11Z-production-routes.json", Kind: fault.Denied, Reason: "the signature does not verify", Hint: "get the file again from where it was made"}}
	return r
}

func matrix(faulty int) *report.Matrix {
	paths := []string{"/.well-known/jwks.json", "/api/ai/binding", "/api/ai/test", "/api/billing/balance", "/api/si/ask", "/auth/guest", "/ready", "unknown paths"}
	kinds := []string{"allowed", "foreign", "null", "absent", "case", "idn", "list", "pattern", "port", "prefix", "scheme", "subdomain", "suffix", "trailing-dot", "trailing-slash", "userinfo"}
	m := &report.Matrix{Grid: cors.Grid{Paths: paths, Kinds: kinds}, Answers: 439, Faulty: faulty, Proof: "2026-11-22T18-00-11Z-production-cors.json",
		Coverage: []cors.Coverage{{Status: "200-203", Covered: true}, {Status: "404", Covered: true}, {Status: "429"}}}
	for p := range paths {
		row := make([]cors.Cell, len(kinds))
		for k := range kinds {
			row[k] = cors.Cell{Answers: (p*7 + k*3) % 12}
			if faulty > 0 && p == 3 && k > 3 && k < 4+faulty {
				row[k] = cors.Cell{Answers: 4, Faulty: 1}
			}
		}
		m.Cells = append(m.Cells, row)
	}
	return m
}

func objective(p90, low, high float64, v audit.Verdict) report.Objective {
	o := report.Objective{ID: "ai-binding", Title: "P90 of GET /api/ai/binding ≤ 150 ms", LimitMS: 150, Quantile: 0.9, Verdict: v, Proof: "2026-11-22T18-00-11Z-production-slo-ai-binding.json",
		Measured: &slo.Measured{Verdict: v, Judged: 900, Errors: 2, OverLimit: 31, P50MS: f(p90 / 2), QuantileMS: f(p90), P99MS: f(p90 * 1.6), LowerMS: f(low), UpperMS: f(high), Naive: audit.Pass}}
	from, to := p90/8, math.Max(p90*1.8, 172)
	const bars = 48
	for i := range bars {
		a, b := from*math.Pow(to/from, float64(i)/bars), from*math.Pow(to/from, float64(i+1)/bars)
		o.Histogram = append(o.Histogram, slo.Bucket{FromMS: a, ToMS: b, Count: int(60 * math.Exp(-math.Pow(math.Log(a/(p90*0.6))*2, 2)))})
	}
	return o
}

func rotating() report.Keys {
	k1, k2 := jwks.Key{KID: "LFeukUTmIkg4ho10JCfGZ9BpMZIjo9CPudCh_QI6_rQ"}, jwks.Key{KID: "YTo_Wcbq7QjzSMyuQcVDGdL3eE50YMzQfrCllrQUth8"}
	at := func(hours int) time.Time { return now().Add(time.Duration(hours-100) * time.Hour) }
	begun, due := at(60), now().Add(time.Hour)
	return report.Keys{
		Sightings: []jwks.Sighting{
			{At: at(0), Keys: []jwks.Key{k1}, Signer: k1.KID}, {At: at(30), Keys: []jwks.Key{k1}, Signer: k1.KID}, {At: at(62), Keys: []jwks.Key{k1, k2}, Signer: k1.KID},
			{At: at(70), Keys: []jwks.Key{k1, k2}, Signer: k2.KID}, {At: at(99), Keys: []jwks.Key{k2}, Signer: k2.KID},
		},
		Rotation: &report.Rotation{Phase: "the new key signs", Overdue: true, Steps: []report.Step{{Name: "publish the new key", At: &begun, Done: true}, {Name: "retire the old key", At: &due}}},
	}
}
