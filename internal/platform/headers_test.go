package platform_test

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cognomega/edge/contract"
)

// update writes the golden file anew: go test ./internal/platform -run TestHeadersOfEveryAnswer -update, then read the difference.
var update = flag.Bool("update", false, "write the golden file of the public answers' headers")

const goldenHeaders = "testdata/headers.golden"

// volatile values differ from answer to answer; that the header is there is what is kept.
var volatile = map[string]bool{"Cf-Ray": true, "Date": true, "X-Request-Id": true, "Content-Length": true, "Etag": true, "Last-Modified": true, "X-Credits-Balance": true, "X-Tokens-In": true, "X-Tokens-Out": true, "X-Credits-Used": true, "X-Cache": true}

// fleeting headers are there or not by chance: a service adds Server-Timing when it waited at all.
var fleeting = map[string]bool{"Server-Timing": true}

// sample is a request, and what its outcome is called.
type sample struct {
	name, method, path, body string
	with                     header
}

// answers takes the headers of the platform's answers, and writes them as the golden file does.
type answers struct {
	*money
	patient *http.Client // waits until it is told to send a body
}

func newAnswers(t *testing.T) answers {
	t.Helper()
	m := newMoney(t)
	transport, ok := m.http.Transport.(*http.Transport)
	if !ok {
		t.Fatalf("the client goes by %T", m.http.Transport)
	}
	transport = transport.Clone()
	transport.ExpectContinueTimeout = m.http.Timeout
	return answers{m, &http.Client{Timeout: m.http.Timeout, Transport: transport}}
}

func (a answers) take(s sample) string {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), s.method, a.edge+s.path, strings.NewReader(s.body))
	if err != nil {
		a.t.Fatal(err)
	}
	for name, value := range s.with {
		req.Header.Set(name, value)
	}
	if s.body != "" {
		req.Header.Set("Expect", "100-continue") // a body that is refused is not sent: the answer would come in the middle of it
	}
	res, err := a.patient.Do(req)
	if err != nil {
		a.t.Fatalf("%s %s: %v", s.method, s.path, err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", res.StatusCode)
	for _, name := range slices.Sorted(maps.Keys(res.Header)) {
		if fleeting[name] {
			continue
		}
		value := strings.Join(res.Header[name], " | ")
		if volatile[name] {
			value = "*"
		}
		fmt.Fprintf(&b, "    %s: %s\n", name, value)
	}
	return b.String()
}

// samples are a path's cheap outcomes: the ones that need nobody's money and no model.
func (a answers) samples(path string, p contract.Path, user header) []sample {
	concrete := strings.NewReplacer(":key", "uploads%2F2026%2Fx").Replace(path)
	who := map[contract.Access]header{contract.AccessToken: user, contract.AccessAdmin: a.operator()}[p.Auth]
	from := func(h header, origin string) header { return with(h, "Origin", origin) }
	all := []sample{
		{"preflight of a friend", "OPTIONS", concrete, "", header{"Origin": friend, "Access-Control-Request-Method": p.Methods[0]}},
		{"preflight of a stranger", "OPTIONS", concrete, "", header{"Origin": stranger, "Access-Control-Request-Method": p.Methods[0]}},
		{"wrong method", wrongMethod(p), concrete, "", from(nil, friend)},
	}
	if p.Auth == contract.AccessToken || p.Auth == contract.AccessAdmin {
		all = append(all, sample{"nobody", p.Methods[0], concrete, "", from(nil, friend)})
	}
	for _, m := range p.Methods {
		switch {
		case m == http.MethodGet && path == "/api/admin/env-snapshot":
			continue // what it answers depends on what is configured
		case m == http.MethodGet || m == http.MethodDelete:
			all = append(all, sample{"reading", m, concrete, "", from(who, friend)})
		case p.Streams:
			all = append(all, sample{"no name", m, concrete, "x", from(who, friend)})
		default:
			all = append(all, sample{"bad JSON", m, concrete, "{", from(who, friend)})
		}
		if most := max(p.MaxBodyBytes, 1); m == http.MethodPost && most < 1<<20 && p.MaxBodyBytes > 0 {
			all = append(all, sample{"too long", m, concrete, strings.Repeat(" ", most+1), from(who, friend)})
		}
	}
	return all
}

func wrongMethod(p contract.Path) string {
	for _, m := range []string{"DELETE", "PUT"} {
		if !slices.Contains(p.Methods, m) {
			return m
		}
	}
	return "PATCH"
}

// TestHeadersOfEveryAnswer holds the headers of public answers, as the whole platform gives them, against a file that is reviewed: a
// header that comes, goes or changes is a change of the public contract. An alias answers as its path does.
func TestHeadersOfEveryAnswer(t *testing.T) {
	t.Parallel()
	c, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	a := newAnswers(t)
	user := a.user("headers@a.test")
	if code := a.call("POST", "/api/credits/adjust", `{"email":"headers@a.test","set":5,"reason":"test"}`, with(a.operator(), "Content-Type", "application/json"), nil); code != http.StatusOK {
		t.Fatalf("credits: %d", code)
	}
	var golden strings.Builder
	golden.WriteString("# The headers of public answers, taken from the whole platform. Written by: go test ./internal/platform -run TestHeadersOfEveryAnswer -update\n")
	for _, path := range slices.Sorted(maps.Keys(c.HTTP.Paths)) {
		p := c.HTTP.Paths[path]
		for _, s := range a.samples(path, p, user) {
			got := a.take(s)
			fmt.Fprintf(&golden, "\n%s %s, %s: %s", s.method, path, s.name, got)
			for _, alias := range p.Aliases {
				s.path = alias
				if other := a.take(s); other != got {
					t.Errorf("%s %s, %s answers unlike %s:\n%s", s.method, alias, s.name, path, cmp.Diff(got, other))
				}
			}
		}
	}
	for _, s := range []sample{
		{"a friend", "GET", "/no/such/path", "", header{"Origin": friend}}, {"a stranger", "GET", "/no/such/path", "", header{"Origin": stranger}}, {"no origin", "GET", "/no/such/path", "", nil},
		{"a token that is none", "GET", "/api/credits", "", header{"Authorization": "Bearer x.y.z", "Origin": friend}},
		{"a key that is wrong", "GET", "/api/admin/ping", "", header{"X-Admin-Key": "wrong", "Origin": friend}},
		{"another's name", "GET", "/api/credits?email=other@a.test", "", with(user, "Origin", friend)},
		{"an address that is too long", "GET", "/api/credits?x=" + strings.Repeat("y", c.HTTP.Limits.MaxURLBytes), "", header{"Origin": friend}},
	} {
		path, _, _ := strings.Cut(s.path, "?")
		fmt.Fprintf(&golden, "\n%s %s, %s: %s", s.method, path, s.name, a.take(s))
	}
	fmt.Fprintf(&golden, "\nGET /api/billing/usage, turned away: %s", a.turnedAway(with(user, "Origin", friend)))
	compareGolden(t, golden.String())
}

// turnedAway has the platform believe that usage is written far too late; the reconciler corrects that twice a minute, so it is said until
// it is heard.
func (a answers) turnedAway(who header) (got string) {
	a.t.Helper()
	a.until("answer that turns work away", func() bool {
		a.plant("pressure:usage-events", fmt.Sprintf(`{"at":%d,"backlog":1000000000,"oldest":null}`, time.Now().UnixMilli()))
		got = a.take(sample{"", "GET", "/api/billing/usage", "", who})
		return strings.HasPrefix(got, "429")
	}, func() string { return got })
	return got
}

func compareGolden(t *testing.T, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(goldenHeaders), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(goldenHeaders, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(goldenHeaders)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the headers of public answers changed (-reviewed +now); if that is meant, run with -update and read the difference:\n%s", diff)
	}
}
