package localcloud_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud"
)

func TestWhatTheAPIDeploysTheEdgeServes(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, t.TempDir()).Endpoints())
	c.upload(200, "greeter", hello, map[string]any{"type": "plain_text", "name": "WORD", "text": "hi"})
	c.own("api."+zoneName, "greeter")
	if status, body := c.get("https://api." + zoneName + "/there"); status != 200 || body != "hi /there" {
		t.Fatalf("got %d %q", status, body)
	}
	if _, err := c.edge.Get("https://nobody." + zoneName + "/"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("a name without a record: %v, want a TLS alert", err)
	}
}

func TestAWorkerThatDoesNotStartIsRefusedAndTheOldOneServes(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, t.TempDir()).Endpoints())
	c.upload(200, "greeter", hello)
	c.own("api."+zoneName, "greeter")
	c.upload(400, "greeter", `throw new Error("out of cheese");`)
	if status, body := c.get("https://api." + zoneName + "/"); status != 200 || body != "hello /" {
		t.Fatalf("after a refused upload: %d %q", status, body)
	}
}

func TestASecondStartOnTheFolderIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, dir)
	second, err := localcloud.Start(context.Background(), config(t, dir))
	if err == nil {
		_ = second.Close()
		t.Fatal("two clouds own one folder")
	}
	if !errors.Is(err, fault.Conflict) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
	if e, err := localcloud.ReadEndpoints(dir); err != nil || e.APIHTTP != first.Endpoints().APIHTTP {
		t.Errorf("the refused start touched the first one's endpoints: %+v, %v", e, err)
	}
}

func TestATakenPortIsReplacedByAFreeOne(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := config(t, t.TempDir())
	cfg.Ports.EdgeHTTPS = l.Addr().(*net.TCPAddr).Port
	c, err := localcloud.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Endpoints().EdgeHTTPS == l.Addr().String() {
		t.Error("the taken port is said to be the edge's")
	}
}

func TestCloseLeavesDataAndNothingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, err := localcloud.Start(context.Background(), config(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	e := c.Endpoints()
	connect(t, e).upload(200, "greeter", hello)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"endpoints.json", "run"} {
		if _, err := os.Stat(filepath.Join(dir, gone)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left behind (%v)", gone, err)
		}
	}
	for _, addr := range []string{hostOf(t, e.APIHTTP), hostOf(t, e.APIHTTPS), hostOf(t, e.Control), e.EdgeHTTP, e.EdgeHTTPS} {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			t.Errorf("%s still answers", addr)
		}
	}
}

func hostOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func TestControlNeedsTheToken(t *testing.T) {
	t.Parallel()
	e := start(t, t.TempDir()).Endpoints()
	for _, header := range []string{"", "Bearer ", "Bearer wrong", "Basic abc"} {
		req, err := http.NewRequest("POST", e.Control+"/stop", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", header)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("Authorization %q: %s", header, res.Status)
		}
	}
}

func TestEndpointsOfSomethingElseAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := localcloud.ReadEndpoints(dir); !errors.Is(err, fault.NotFound) {
		t.Errorf("an empty folder: %v", err)
	}
	for name, text := range map[string]string{"not JSON": "{", "another schema": `{"schema":"x/v1"}`} {
		if err := os.WriteFile(filepath.Join(dir, "endpoints.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := localcloud.ReadEndpoints(dir); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
