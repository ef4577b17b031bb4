package localcloud_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cognomega/edge/internal/localcloud/doubles"
)

// asker asks a provider as the path says, and tells what came of it: the status and the body, or the exception.
const asker = `import { connect } from "cloudflare:sockets";
const bases = { groq: "https://api.groq.localhost/openai/v1", openai: "https://api.openai.localhost/v1" };
const siteverify = "https://challenges.cloudflare.localhost/turnstile/v0/siteverify";
export default { async fetch(request, env) {
  const [, verb, ...rest] = new URL(request.url).pathname.split("/");
  const stream = verb === "stream", messages = [{ role: "user", content: "hi" }];
  try {
    if (verb === "fetch") {
      const r = await fetch(decodeURIComponent(rest[0]), { headers: { "x-own": "1", "Cogctl-Proto": "gopher" } });
      return new Response(r.status + " " + await r.text());
    }
    if (verb === "connect") {
      const socket = connect(rest[0]);
      const writer = socket.writable.getWriter();
      await writer.write(new TextEncoder().encode("ping"));
      await writer.close();
      return new Response(socket.readable);
    }
    if (rest[0] === "turnstile") {
      const r = await fetch(siteverify, { method: "POST", body: new URLSearchParams({ secret: "1x0000000000000000000000000000000AA", response: "x" }) });
      return new Response(r.status + " " + await r.text());
    }
    if (rest[0] === "cfai") {
      const r = await env.AI.run("@cf/meta/llama-3.1-8b-instruct", { messages, stream });
      return new Response(stream ? r : JSON.stringify(r));
    }
    const r = await fetch(bases[rest[0]] + "/chat/completions", { method: "POST", signal: AbortSignal.timeout(1000),
      headers: { authorization: "Bearer k" }, body: JSON.stringify({ model: "m", messages, stream, stream_options: { include_usage: true } }) });
    return new Response(r.status + " " + (r.headers.get("retry-after") ?? "-") + " " + await r.text());
  } catch (e) { return new Response("threw " + e.message); }
} };`

// cloudWithAsker is a running account in which api.<zone> asks the providers.
func cloudWithAsker(t *testing.T) client {
	t.Helper()
	c := connect(t, start(t, t.TempDir()).Endpoints())
	c.upload(200, "asker", asker, map[string]any{"type": "ai", "name": "AI"})
	c.own("api."+zoneName, "asker")
	return c
}

func (c client) asks(path string) string {
	c.t.Helper()
	_, body := c.get("https://api." + zoneName + "/" + path)
	return body
}

// plan sets a double over the control port.
func (c client) plan(want int, provider string, p doubles.Plan) string {
	c.t.Helper()
	raw, err := json.Marshal(p)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.control(want, http.MethodPut, "/doubles/"+provider, raw)
}

func (c client) control(want int, method, path string, body []byte) string {
	c.t.Helper()
	req, err := http.NewRequest(method, c.e.Control+path, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != want {
		c.t.Fatalf("%s %s: %s %s (%v)", method, path, res.Status, raw, err)
	}
	return string(raw)
}

func (c client) doubles() map[string]doubles.Status {
	c.t.Helper()
	var list []doubles.Status
	if err := json.Unmarshal([]byte(c.control(200, http.MethodGet, "/doubles", nil)), &list); err != nil {
		c.t.Fatal(err)
	}
	all := map[string]doubles.Status{}
	for _, s := range list {
		all[s.Provider] = s
	}
	return all
}

func TestEveryProviderAnswersWorkers(t *testing.T) {
	t.Parallel()
	c := cloudWithAsker(t)
	for path, want := range map[string]string{
		"ask/groq":      `"content":"This is m answering locally: you said \"hi\"."`,
		"ask/openai":    `"usage":{"prompt_tokens":1,"completion_tokens":8,"total_tokens":9}`,
		"ask/cfai":      `"response":"This is llama-3.1-8b-instruct answering locally: you said \"hi\"."`,
		"stream/groq":   `"x_groq":{"id":`,
		"stream/openai": `"choices":[],"created":1767225600`,
		"stream/cfai":   `data: {"response":" said"}`,
		"ask/turnstile": `200 {"success":true,`, "stream/turnstile": `"hostname":"example.com"`,
	} {
		if got := c.asks(path); !strings.Contains(got, want) {
			t.Errorf("%s: %s\nwant %s", path, got, want)
		}
	}
	for provider, s := range c.doubles() {
		if s.Requests != 2 {
			t.Errorf("%s counted %d requests, want 2", provider, s.Requests)
		}
	}
}

func TestEveryFaultIsWhatAWorkerMeets(t *testing.T) {
	t.Parallel()
	c := cloudWithAsker(t)
	for kind, want := range map[doubles.Kind]struct{ json, stream string }{
		doubles.Refuse: {"521 - error code: 521", "521 - "}, doubles.DNS: {"530 - error code: 1016", "530 - "}, doubles.TLS: {"525 - error code: 525", "525 - "},
		doubles.Reset: {"threw ", "threw "}, doubles.Unauth: {`401 - {"error":{"code":"invalid_api_key"`, "401 - "},
		doubles.Unpaid:  {`402 - {"error":{"code":"billing_hard_limit_reached"`, "402 - "},
		doubles.Limited: {`429 7 {"error":{"code":"rate_limit_exceeded"`, "429 7 "}, doubles.Broken: {"500 - ", "500 - "},
		doubles.SlowHeaders: {"threw The operation was aborted due to timeout", "threw "}, doubles.Stall: {"threw The operation was aborted due to timeout", "threw "},
		doubles.Cut: {"threw ", "threw "}, doubles.Malformed: {`200 - {"choices":[`, `"content":` + "\n\n"}, doubles.HTML: {"200 - <!doctype html>", "200 - <!doctype html>"},
		doubles.Empty: {`"content":""`, `"finish_reason":"stop"`},
	} {
		c.plan(200, "openai", doubles.Plan{Faults: []doubles.Fault{{Kind: kind, Share: 1}}, RetryAfterS: 7, After: 3})
		before := c.doubles()["openai"].Faults[kind]
		if got := c.asks("ask/openai"); !strings.Contains(got, want.json) || strings.HasSuffix(got, "}]}") {
			t.Errorf("%s: %s\nwant %s", kind, got, want.json)
		}
		if got := c.asks("stream/openai"); !strings.Contains(got+"\n\n", want.stream) {
			t.Errorf("%s, streaming: %s\nwant %s", kind, got, want.stream)
		}
		if n := c.doubles()["openai"].Faults[kind] - before; n != 2 {
			t.Errorf("%s befell %d requests, want 2", kind, n)
		}
	}
	c.plan(200, "cfai", doubles.Plan{Faults: []doubles.Fault{{Kind: doubles.Unpaid, Share: 1}}})
	if got := c.asks("ask/cfai"); !strings.HasPrefix(got, "threw") || !strings.Contains(got, "4006") {
		t.Errorf("Workers AI without an allocation: %s", got)
	}
	c.control(200, http.MethodDelete, "/doubles/cfai", nil)
	if got := c.asks("ask/cfai"); !strings.Contains(got, "answering locally") {
		t.Errorf("after the fault was taken back: %s", got)
	}
}

func TestAPlanThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, t.TempDir()).Endpoints())
	for _, p := range []doubles.Plan{
		{Faults: []doubles.Fault{{Kind: "gremlins", Share: 1}}},
		{Faults: []doubles.Fault{{Kind: doubles.Cut, Share: 0}}},
		{Faults: []doubles.Fault{{Kind: doubles.Cut, Share: 0.6}, {Kind: doubles.Stall, Share: 0.6}}},
		{Delay: "soon"}, {Delay: "uniform:3s-1s"}, {Delay: "lognormal:1s:9"}, {After: -1},
	} {
		if got := c.plan(400, "groq", p); !strings.Contains(got, `"error":"invalid"`) {
			t.Errorf("%+v: %s", p, got)
		}
	}
	c.plan(404, "nobody", doubles.Plan{})
	c.control(400, http.MethodPut, "/doubles/groq", []byte(`{"surprise":1}`))
}

// What is not a double's is reached as it is, by fetch and by socket, and what cannot be reached fails as on Cloudflare.
func TestWorkersReachWhatIsOutside(t *testing.T) {
	t.Parallel()
	c := cloudWithAsker(t)
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header["Cogctl-Proto"])+len(r.Header["X-Forwarded-For"]) > 0 {
			http.Error(w, "more than the Worker sent", http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, r.Host+" "+r.Header.Get("X-Own"))
	}))
	defer outside.Close()
	address := outside.Listener.Addr().String()
	if got, want := c.asks("fetch/http:%2F%2F"+address+"%2F"), "200 "+address+" 1"; got != want {
		t.Errorf("fetch: %q, want %q", got, want)
	}
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		conn, err := echo.Accept()
		if err == nil {
			_, _ = io.Copy(conn, conn)
			_ = conn.Close()
		}
	}()
	if got := c.asks("connect/" + echo.Addr().String()); got != "ping" {
		t.Errorf("connect: %q", got)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	for url, want := range map[string]string{
		"http:%2F%2F" + closed.Addr().String():                  "521 error code: 521",
		"http:%2F%2Fno-such-name.invalid":                       "530 error code: 1016",
		"https:%2F%2F" + address:                                "525 error code: 525",
		"https:%2F%2F" + strings.TrimPrefix(c.e.EdgeHTTPS, "x"): "526 error code: 526",
	} {
		if got := c.asks("fetch/" + url); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}
