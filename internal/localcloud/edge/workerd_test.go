package edge_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/cognomega/edge/internal/localcloud"
)

const zoneName = "example.localhost"

// everyKind is a Worker that shows, path by path, what must survive the way through the edge.
const everyKind = `
export default { async fetch(request) {
  const url = new URL(request.url);
  switch (url.pathname) {
  case "/throw": throw new Error("on purpose");
  case "/own500": return new Response("Internal Server Error", { status: 500 });
  case "/none": return new Response(null, { status: 204 });
  case "/url": return Response.json({ url: request.url, headers: Object.fromEntries(request.headers) });
  case "/body": return new Response(request.body);
  case "/ws": {
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    server.addEventListener("message", (e) => e.data === "bye" ? server.close(4002, "bye") : server.send(e.data));
    return new Response(null, { status: 101, webSocket: client });
  }
  case "/sse": {
    const { readable, writable } = new TransformStream();
    const writer = writable.getWriter();
    writer.write(new TextEncoder().encode("data: 1\n\n"));
    setTimeout(() => writer.close(), 60000);
    return new Response(readable, { headers: { "content-type": "text/event-stream" } });
  }
  }
  return new Response("hello");
} };`

// cloud runs a whole account with the real workerd, and a script of everyKind at api.example.localhost.
func cloud(t *testing.T) *bedClient {
	t.Helper()
	c, err := localcloud.Start(context.Background(), localcloud.Config{
		Dir: socketDir(t), AccountName: "edge-test", Zones: []string{zoneName}, Workerd: workerd(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	e := c.Endpoints()
	token, err := e.Token()
	if err != nil {
		t.Fatal(err)
	}
	b := &bedClient{t: t, api: e.APIHTTP, token: token, edge: e.EdgeHTTP}
	b.script = "/accounts/" + e.AccountID + "/workers/scripts/every-kind"
	b.pid = func() int { return pidOf(t, e, token) }
	b.upload(b.script, everyKind)
	zone := "/zones/" + e.Zones[0].ID
	b.post(zone+"/dns_records", map[string]any{"type": "AAAA", "name": "api." + zoneName, "content": "100::", "proxied": true, "ttl": 1})
	b.post(zone+"/workers/routes", map[string]any{"pattern": "api." + zoneName + "/*", "script": "every-kind"})
	return b
}

func workerd(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if found, _ := filepath.Glob(filepath.Join(dir, "workers/node_modules/@cloudflare/workerd-*/bin/workerd")); len(found) > 0 {
			return found[0]
		}
	}
	t.Fatal("workerd is not installed: make setup")
	return ""
}

// bedClient speaks to an account's API and edge.
type bedClient struct {
	t                *testing.T
	api, token, edge string
	script           string     // the API path of the script
	pid              func() int // of the workerd process that serves it
}

func (b *bedClient) send(method, path, contentType string, body []byte) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.api+path, bytes.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+b.token)
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		b.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, got)
	}
}

func (b *bedClient) post(path string, v any) {
	b.t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		b.t.Fatal(err)
	}
	b.send(http.MethodPost, path, "application/json", raw)
}

func (b *bedClient) upload(path, code string) {
	b.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, p := range [][3]string{
		{"metadata", "application/json", `{"main_module":"worker.js","compatibility_date":"2026-11-01","bindings":[]}`},
		{"worker.js", "application/javascript+module", code},
	} {
		part, err := w.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {`form-data; name="` + p[0] + `"; filename="` + p[0] + `"`}, "Content-Type": {p[1]},
		})
		if err != nil {
			b.t.Fatal(err)
		}
		_, _ = io.WriteString(part, p[2])
	}
	_ = w.Close()
	b.send(http.MethodPut, path, w.FormDataContentType(), body.Bytes())
}

func (b *bedClient) client() *http.Client {
	tr := &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", b.edge)
	}}
	b.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func (b *bedClient) do(method, path string, in io.Reader) *http.Response {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, "http://api."+zoneName+path, in)
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := b.client().Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func TestRealWorker(t *testing.T) {
	t.Parallel()
	b := cloud(t)
	t.Run("uncaught exception is Cloudflare's 1101", func(t *testing.T) {
		resp := b.do("GET", "/throw", nil)
		if got := body(t, resp); resp.StatusCode != 500 || !strings.Contains(got, "Error 1101") {
			t.Errorf("%d %s", resp.StatusCode, got)
		}
		if got := body(t, b.do("GET", "/own500", nil)); got != "Internal Server Error" {
			t.Errorf("the Worker's own 500 became %q", got)
		}
		if resp := b.do("HEAD", "/throw", nil); resp.StatusCode != 500 {
			t.Errorf("HEAD: %d", resp.StatusCode)
		}
	})
	t.Run("what the Worker sees is what was matched", func(t *testing.T) {
		var got struct {
			URL     string            `json:"url"`
			Headers map[string]string `json:"headers"`
		}
		if err := json.NewDecoder(b.do("GET", "/a/../url?x=1", nil).Body).Decode(&got); err != nil {
			t.Fatal(err)
		}
		if got.URL != "http://api."+zoneName+"/url?x=1" || got.Headers["cf-connecting-ip"] != "127.0.0.1" || len(got.Headers["cf-ray"]) != 20 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("bodies", func(t *testing.T) {
		for _, size := range []int{1, 4096, 4097, 5 << 20} {
			want := strings.Repeat("x", size)
			if got := body(t, b.do("POST", "/body", strings.NewReader(want))); got != want {
				t.Errorf("%d bytes came back as %d", size, len(got))
			}
		}
		if resp := b.do("GET", "/none", nil); resp.StatusCode != 204 || body(t, resp) != "" {
			t.Errorf("empty answer: %d", resp.StatusCode)
		}
	})
	t.Run("events arrive while the stream is open", func(t *testing.T) {
		line, err := bufio.NewReader(b.do("GET", "/sse", nil).Body).ReadString('\n')
		if err != nil || line != "data: 1\n" {
			t.Errorf("%q, %v", line, err)
		}
	})
	t.Run("WebSocket", func(t *testing.T) {
		c, _, err := websocket.Dial(t.Context(), "ws://api."+zoneName+"/ws", &websocket.DialOptions{HTTPClient: b.client()})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		for _, msg := range []string{"one", strings.Repeat("x", 20_000), "bye"} {
			if err := c.Write(t.Context(), websocket.MessageText, []byte(msg)); err != nil {
				t.Fatal(err)
			}
			_, got, err := c.Read(t.Context())
			if msg == "bye" {
				if websocket.CloseStatus(err) != 4002 {
					t.Errorf("close: %v", err)
				}
			} else if err != nil || string(got) != msg {
				t.Errorf("%d bytes came back as %d, %v", len(msg), len(got), err)
			}
		}
	})
}

// hammer asks for path on its own connections until stop, and gives the number of answers by status, 0 for none.
func (b *bedClient) hammer(path string, stop <-chan struct{}) <-chan map[int]int {
	result := make(chan map[int]int, 1)
	client := b.client()
	go func() {
		seen := map[int]int{}
		defer func() { result <- seen }()
		for {
			select {
			case <-stop:
				return
			default:
			}
			resp, err := client.Post("http://api."+zoneName+path, "text/plain", strings.NewReader("body"))
			if err != nil {
				seen[0]++
				continue
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode == http.StatusOK && string(got) != "body" {
				seen[0]++
			}
			seen[resp.StatusCode]++
		}
	}()
	return result
}

func TestDeployThroughTheEdgeDropsNothing(t *testing.T) {
	t.Parallel()
	b := cloud(t)
	stop := make(chan struct{})
	clients := []<-chan map[int]int{b.hammer("/body", stop), b.hammer("/body", stop)}
	for i := range 5 {
		b.upload(b.script, everyKind+"// version "+strconv.Itoa(i))
	}
	close(stop)
	for _, c := range clients {
		if seen := <-c; len(seen) != 1 || seen[http.StatusOK] == 0 {
			t.Errorf("answers by status: %v", seen)
		}
	}
}

// A POST in flight when its process is killed cannot be repeated, but it must be answered, and the next must be served.
func TestKilledProcessCostsOnlyWhatWasInFlight(t *testing.T) {
	t.Parallel()
	b := cloud(t)
	stop := make(chan struct{})
	client := b.hammer("/body", stop)
	for range 3 {
		if p, err := os.FindProcess(b.pid()); err == nil {
			_ = p.Kill()
		}
		eventually(t, "served again", func() bool { return b.do("GET", "/url", nil).StatusCode == http.StatusOK })
	}
	close(stop)
	seen := <-client
	if seen[http.StatusOK] == 0 || seen[0] != 0 || seen[520]+seen[521] > 3 || len(seen) > 3 {
		t.Errorf("answers by status: %v", seen)
	}
}

// pidOf asks the control port for the process that serves the script; it waits while that one restarts.
func pidOf(t *testing.T, e localcloud.Endpoints, token string) (pid int) {
	t.Helper()
	eventually(t, "the process runs", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.Control+"/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var status struct {
			Processes []struct {
				PID     int  `json:"pid"`
				Serving bool `json:"serving"`
			} `json:"processes"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&status); err != nil {
			t.Fatal(err)
		}
		if len(status.Processes) != 1 || !status.Processes[0].Serving {
			return false
		}
		pid = status.Processes[0].PID
		return pid != 0
	})
	return pid
}
