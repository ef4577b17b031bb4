package routes_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/internal/fault"
)

func (b *bed) judge(token string) (routes.Judgement, *routes.Capture) {
	b.t.Helper()
	c, err := routes.Collect(b.t.Context(), b.client(token), routes.Ask{Host: host, Workers: []string{"gateway", "auth"}, At: at()})
	b.must(err)
	return routes.Judge(c, routes.Expect{Owner: "gateway", Closed: []string{"gateway", "auth"}, Paths: []string{"/api/voice/rooms", "/healthz"}}), c
}

type planted struct {
	plant  func(b *bed)
	code   string
	url    string // that the finding must name
	kind   string // of the resource that causes it
	got    string
	absent bool // the plant is harmless and must not be found
}

func TestPlantedFaultsAreFound(t *testing.T) {
	t.Parallel()
	tests := map[string]planted{
		"healthy":                {plant: func(*bed) {}, absent: true},
		"a second route shadows": {func(b *bed) { b.route(host+"/api/voice/*", "voice") }, "route_shadow", "https://" + host + "/api/voice/rooms", "route", "voice", false},
		"a route for one text":   {func(b *bed) { b.route(host+"/healthz", "voice") }, "route_shadow", "https://" + host + "/healthz", "route", "voice", false},
		"over http alone":        {func(b *bed) { b.route("http://"+host+"/old*", "voice") }, "route_shadow", "http://" + host + "/oldx", "route", "voice", false},
		"a null route":           {func(b *bed) { b.route(host+"/static/*", "") }, "route_null", "https://" + host + "/static/x", "route", "nobody", false},
		"an equal route":         {func(b *bed) { b.route("*"+host+"/*", "voice") }, "route_ambiguous", "https://" + host + "/api/voice/rooms", "route", "undecided", false},
		"the same route for https": {func(b *bed) { b.route("https://"+host+"/*", "voice") }, "route_ambiguous", "https://" + host + "/api/voice/rooms", "route",
			"undecided", false},
		"no route":        {func(b *bed) { b.dropRoutes() }, "route_gap", "https://" + host + "/api/voice/rooms", "zone", "nobody", false},
		"a partial route": {func(b *bed) { b.dropRoutes(); b.route(host+"/api/*", "gateway") }, "route_gap", "https://" + host + "/healthz", "zone", "nobody", false},
		"a custom domain takes what no route does": {func(b *bed) { b.dropRoutes(); b.dropRecords(); b.domain(host, "voice") }, "custom_domain_shadow",
			"https://" + host + "/api/voice/rooms", "custom_domain", "voice", false},
		"a null route before a custom domain": {func(b *bed) {
			b.dropRoutes()
			b.dropRecords()
			b.domain(host, "gateway")
			b.route(host+"/static/*", "")
		}, "route_null_domain",
			"https://" + host + "/static/x", "route", "undecided", false},
		"unproxied":                        {func(b *bed) { b.dropRecords(); b.record("A", host, "192.0.2.9", false) }, "dns_unproxied", "https://" + host + "/", "dns_record", "192.0.2.9", false},
		"one of two records unproxied":     {func(b *bed) { b.record("AAAA", host, "2001:db8::9", false) }, "dns_unproxied", "https://" + host + "/", "dns_record", "2001:db8::9", false},
		"no record":                        {func(b *bed) { b.dropRecords() }, "dns_missing", "https://" + host + "/", "zone", "nobody", false},
		"unproxied wildcard":               {func(b *bed) { b.dropRecords(); b.record("A", "*.example.test", "192.0.2.9", false) }, "dns_unproxied", "https://" + host + "/", "dns_record", "192.0.2.9", false},
		"a Pages domain":                   {func(b *bed) { b.pages("front", host) }, "pages_domain", "https://" + host + "/", "pages_project", "Pages project front", false},
		"workers.dev on":                   {func(b *bed) { b.subdomain("acme"); b.switches("gateway", true, false) }, "workers_dev_on", "https://gateway.acme.workers.dev/", "worker", "gateway", false},
		"previews on, of a private Worker": {func(b *bed) { b.subdomain("acme"); b.switches("auth", false, true) }, "previews_on", "https://<version>-auth.acme.workers.dev/", "worker", "auth", false},
		"a redirect rule":                  {func(b *bed) { b.redirect(`http.host eq "` + host + `"`) }, "redirect_rule", "https://" + host + "/", "redirect_rule", "redirect to https://elsewhere.test/", false},
		"a redirect of any host":           {func(b *bed) { b.redirect(`starts_with(http.request.uri.path, "/old")`) }, "redirect_rule", "https://" + host + "/", "redirect_rule", "redirect to https://elsewhere.test/", false},

		"harmless: a redirect elsewhere":      {plant: func(b *bed) { b.redirect(`http.host eq "www.example.test"`) }, absent: true},
		"harmless: a wildcard that loses":     {plant: func(b *bed) { b.route("*.example.test/*", "voice") }, absent: true},
		"harmless: another host":              {plant: func(b *bed) { b.route("www.example.test/*", "voice") }, absent: true},
		"harmless: Pages elsewhere":           {plant: func(b *bed) { b.pages("front", "www.example.test") }, absent: true},
		"harmless: the owner twice":           {plant: func(b *bed) { b.route(host+"/api/*", "gateway") }, absent: true},
		"harmless: a proxied wildcard":        {plant: func(b *bed) { b.dropRecords(); b.record("A", "*.example.test", "192.0.2.9", true) }, absent: true},
		"harmless: an unproxied wildcard":     {plant: func(b *bed) { b.record("A", "*.example.test", "192.0.2.9", false) }, absent: true},
		"harmless: a custom domain of owner":  {plant: func(b *bed) { b.dropRoutes(); b.dropRecords(); b.domain(host, "gateway") }, absent: true},
		"harmless: workers.dev of a stranger": {plant: func(b *bed) { b.switches("voice", true, true) }, absent: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			tt.plant(b)
			j, c := b.judge(secret)
			if tt.absent {
				if len(j.Findings) != 0 || j.Verdict(c) != audit.Pass || j.Owner != "gateway" {
					t.Fatalf("nothing is wrong, found %+v", j)
				}
				return
			}
			i := slices.IndexFunc(j.Findings, func(f audit.Finding) bool { return f.Code == tt.code })
			if i < 0 || j.Verdict(c) != audit.Fail {
				t.Fatalf("no %s among %+v", tt.code, j.Findings)
			}
			f := j.Findings[i]
			if f.URL != tt.url || f.Resource.Kind != tt.kind || f.Got != tt.got || f.Resource.ID == "" || f.Hint == "" {
				t.Errorf("found %+v", f)
			}
		})
	}
}

func TestOnlyThePlantedFaultIsFound(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	id := b.route(host+"/api/voice/*", "voice")
	j, _ := b.judge(secret)
	want := []audit.Finding{{
		Severity: audit.Error, Code: "route_shadow", URL: "https://" + host + "/api/voice/rooms", Got: "voice", Want: "gateway",
		Message:  "Worker voice answers: route " + host + "/api/voice/* (id " + id + ", zone example.test, to voice) is more specific",
		Resource: audit.Resource{Kind: "route", ID: id, Name: host + "/api/voice/*"}, Hint: "delete or re-point route " + id,
	}}
	if diff := cmp.Diff(want, j.Findings); diff != "" {
		t.Error(diff)
	}
}

func TestAnAccountThatIsNotOurs(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.route(host+"/shop*", "voice")
	c, err := routes.Collect(t.Context(), b.api, routes.Ask{Host: strings.ToUpper(host), At: at()})
	b.must(err)
	j := routes.Judge(c, routes.Expect{})
	if j.Owner != "gateway" || len(j.Findings) != 1 || j.Findings[0].Got != "voice" {
		t.Errorf("got %+v", j)
	}
}

func TestWhatTheTokenMayNotSeeIsSaid(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	narrow := strings.Repeat("n", 40)
	b.token(narrow, "Zone Read", "Workers Routes Read", "DNS Read", "Workers Scripts Read")
	j, c := b.judge(narrow)
	if j.Verdict(c) != audit.Inconclusive || len(c.Unseen) != 2 || !strings.Contains(c.Unseen[0].Hint, "Pages") {
		t.Errorf("verdict %s, unseen %+v", j.Verdict(c), c.Unseen)
	}
	blind := strings.Repeat("b", 40)
	b.token(blind, "Zone Read", "DNS Read")
	_, err := routes.Collect(t.Context(), b.client(blind), routes.Ask{Host: host, At: at()})
	if !errors.Is(err, fault.Denied) || !strings.Contains(fault.HintOf(err), "Workers Routes: Read") && !strings.Contains(fault.HintOf(err), "Workers Scripts: Read") {
		t.Errorf("without routes there is nothing to judge: %v, hint %q", err, fault.HintOf(err))
	}
}

func TestCapturesAreStableAndComparable(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	first, second := b.capture(), b.capture()
	if diff := cmp.Diff(first, second); diff != "" {
		t.Fatalf("two captures of the same account differ: %s", diff)
	}
	b.route(host+"/new/*", "voice")
	b.switches("auth", true, false)
	was, err := routes.ReadCapture(strings.NewReader(first))
	b.must(err)
	is, err := routes.ReadCapture(strings.NewReader(b.capture()))
	b.must(err)
	var kinds []string
	for _, c := range routes.Compare(was, is) {
		kinds = append(kinds, c.Op+" "+c.Kind)
	}
	if diff := cmp.Diff([]string{"added route", "changed worker", "added worker"}, kinds); diff != "" {
		t.Error(diff)
	}
	if same := routes.Compare(was, was); len(same) != 0 {
		t.Errorf("a capture differs from itself: %+v", same)
	}
	if _, err := routes.ReadCapture(strings.NewReader(`{"schema":"other/v1"}`)); !errors.Is(err, fault.Invalid) {
		t.Errorf("a file of another schema: %v", err)
	}
}

func (b *bed) capture() string {
	b.t.Helper()
	c, err := routes.Collect(b.t.Context(), b.api, routes.Ask{Host: host, Workers: []string{"gateway", "auth"}, At: at()})
	b.must(err)
	var out bytes.Buffer
	b.must(c.Write(&out))
	return out.String()
}

// TestTenThousandRoutes bounds the time of the whole audit with room for a loaded machine; the figure itself is measured in bench.
func TestTenThousandRoutes(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.manyRoutes(10_000)
	b.route(host+"/p777/x*", "voice")
	start := time.Now()
	j, _ := b.judge(secret)
	took := time.Since(start)
	if len(j.Findings) != 1 || j.Findings[0].Got != "voice" || j.Regions < 40_000 {
		t.Errorf("%d regions, findings %+v", j.Regions, j.Findings)
	}
	t.Logf("10,001 routes, %d regions: %s", j.Regions, took)
	if took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}
