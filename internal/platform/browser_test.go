package platform_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cognomega/edge/internal/browsertest"
)

// The origins of the pages: one that the contract allows, and one that it does not know.
const (
	friend   = "https://app.cognomega.com"
	stranger = "https://evil.example"
)

// walk is what a page does, each step with what its script could see: a step that the browser blocks has an error and nothing else.
const walk = `(async ({ api, guest, user, key }) => {
	const seen = {};
	const step = async (name, path, init, read) => {
		try {
			const res = await fetch(api + path, init);
			seen[name] = { status: res.status, headers: Object.fromEntries(res.headers), body: await read(res) };
		} catch (error) {
			seen[name] = { error: String(error) };
		}
		return seen[name].body;
	};
	const json = (res) => res.json(), text = (res) => res.text();
	const bearer = (token, more) => ({ Authorization: "Bearer " + token, ...more });
	const got = await step("guest", "/auth/guest", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" }, json);
	guest = got?.token ?? guest;
	await step("ask", "/api/si/ask", {
		method: "POST", body: JSON.stringify({ skill: "explain", input: "what is an edge" }),
		headers: bearer(guest, { "Content-Type": "application/json", Accept: "text/event-stream", "X-Intelligence-Tier": "human", "Idempotency-Key": crypto.randomUUID() }),
	}, async (res) => {
		let all = "", parts = 0;
		const reader = res.body.pipeThrough(new TextDecoderStream()).getReader();
		for (let part = await reader.read(); !part.done; part = await reader.read()) { all += part.value; parts++; }
		return { all, parts };
	});
	const up = await step("upload", "/api/upload/direct?filename=hello.txt", { method: "POST", body: "hello", headers: bearer(user, { "Content-Type": "text/plain" }) }, json);
	const file = "/api/files/" + encodeURIComponent(up?.key ?? key);
	await step("download", file, { headers: bearer(user) }, text);
	const etag = seen.download.headers?.etag ?? "";
	await step("part", file, { headers: bearer(user, { Range: "bytes=-3", "If-Range": etag }) }, text);
	await step("known", file, { headers: bearer(user, { "If-None-Match": etag }), cache: "no-store" }, text);
	await step("changed", file, { headers: bearer(user, { "If-Match": '"another"' }) }, json);
	await step("credits", "/api/credits", { headers: bearer(user) }, json);
	return JSON.stringify(seen);
})`

// stop is what a step of the walk came to.
type stop struct {
	Status  int
	Headers map[string]string
	Body    json.RawMessage
	Error   string
}

// visit has a page of an origin go the walk.
func visit(t *testing.T, b *browsertest.Browser, origin string, arguments any) (seen map[string]stop) {
	t.Helper()
	raw, err := json.Marshal(arguments)
	if err != nil {
		t.Fatal(err)
	}
	b.Call("Page.navigate", map[string]any{"url": origin + "/"}, nil)
	b.Eval("document.readyState === 'complete' || new Promise(done => addEventListener('load', done))", nil)
	var at, told string
	if b.Eval("location.origin", &at); at != origin {
		t.Fatalf("the page is at %s, want %s", at, origin)
	}
	b.Eval(fmt.Sprintf("%s(%s)", walk, raw), &told)
	if err := json.Unmarshal([]byte(told), &seen); err != nil {
		t.Fatal(err)
	}
	return seen
}

// TestABrowserGoesTheWholeWay has a real browser do all that a visitor does: on an allowed origin every step works and shows the exposed
// headers, and on a foreign one the browser blocks every step, also with tokens that are good.
func TestABrowserGoesTheWholeWay(t *testing.T) {
	t.Parallel()
	m := newMoney(t)
	page := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><title>a page</title>"))
	}))
	t.Cleanup(page.Close)
	at := strings.TrimPrefix(page.URL, "https://")
	// The pages' certificate is the test's own, and the platform's that of its own authority; names of pages lead to the one server.
	b := browsertest.New(t, "--ignore-certificate-errors", fmt.Sprintf("--host-resolver-rules=MAP app.cognomega.com %s, MAP evil.example %s, MAP api.cognomega.localhost %s", at, at, m.endpoints().EdgeHTTPS))
	user := m.user("browser@a.test")["Authorization"]
	if code := m.call("POST", "/api/credits/adjust", `{"email":"browser@a.test","set":7,"reason":"test"}`, m.operator(), nil); code != http.StatusOK {
		t.Fatalf("credits: %d", code)
	}
	var guest struct{ Token string }
	m.call("POST", "/auth/guest", "{}", nil, &guest)
	with := map[string]string{"api": m.edge, "guest": guest.Token, "user": strings.TrimPrefix(user, "Bearer ")}

	seen := visit(t, b, friend, with)
	for step, headers := range map[string]string{
		"guest": "x-request-id content-type", "ask": "x-request-id x-provider x-model x-cache content-type", "upload": "x-request-id", "download": "x-request-id content-disposition content-type etag accept-ranges",
		"part": "content-range etag", "known": "etag", "changed": "x-request-id", "credits": "x-request-id x-cache",
	} {
		s := seen[step]
		if want := cmp.Or(map[string]int{"part": http.StatusPartialContent, "known": http.StatusNotModified, "changed": http.StatusPreconditionFailed}[step], http.StatusOK); s.Status != want {
			t.Errorf("%s: %d %s %s", step, s.Status, s.Body, s.Error)
		}
		for _, name := range strings.Fields(headers) {
			if s.Headers[name] == "" {
				t.Errorf("%s does not show %s: %v", step, name, s.Headers)
			}
		}
	}
	var asked struct {
		All   string
		Parts int
	}
	_ = json.Unmarshal(seen["ask"].Body, &asked)
	if !strings.Contains(asked.All, "event: done") || strings.Count(asked.All, "event: message") < 2 {
		t.Errorf("the stream is %q", asked.All)
	}
	var file struct{ Key string }
	_ = json.Unmarshal(seen["upload"].Body, &file)
	if string(seen["download"].Body) != `"hello"` {
		t.Errorf("the download is %s", seen["download"].Body)
	}
	if part := seen["part"]; string(part.Body) != `"llo"` || part.Headers["content-range"] != "bytes 2-4/5" {
		t.Errorf("the last three bytes are %s of %s", part.Body, part.Headers["content-range"])
	}
	if !strings.Contains(string(seen["credits"].Body), `"balance_credits":7`) {
		t.Errorf("the credits are %s", seen["credits"].Body)
	}

	with["key"] = file.Key
	for step, s := range visit(t, b, stranger, with) {
		if !strings.HasPrefix(s.Error, "TypeError") || s.Status != 0 {
			t.Errorf("a foreign page's %s: %d %s %s", step, s.Status, s.Body, s.Error)
		}
	}
	var mine struct {
		Items []json.RawMessage `json:"items"`
		Files []json.RawMessage `json:"files"`
	}
	m.call("GET", "/api/files", "", header{"Authorization": user}, &mine)
	if n := len(mine.Items) + len(mine.Files); n != 1 {
		t.Errorf("%d files are there, want the friend's alone", n)
	}
}
