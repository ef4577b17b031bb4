// Package browsertest drives a real browser in tests.
package browsertest

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Browser is a headless Chromium that is spoken to over a pipe (its DevTools protocol): no port is opened.
type Browser struct {
	t    *testing.T
	in   io.Writer
	next int

	mu      sync.Mutex
	waiting map[int]chan message
	events  []message
	session string
	died    chan struct{}
}

type message struct {
	ID        int             `json:"id,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    json.RawMessage `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *struct{ Message string }
	SessionID string `json:"sessionId,omitempty"`
}

// chromium is the browser of this machine. Where it can be installed it must be there: make test installs it.
func chromium(t *testing.T) string {
	t.Helper()
	names := []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}
	for _, name := range names {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	_, err := exec.LookPath("apt-get")
	if os.Getenv("CI") != "" || err == nil && os.Getuid() == 0 {
		t.Fatal("no Chromium: make chromium, or set CHROMIUM to one")
	}
	t.Skip("no Chromium here, and it cannot be installed: set CHROMIUM to one")
	return ""
}

// New starts a browser for a test, with more flags than it needs to run; it ends with the test.
func New(t *testing.T, flags ...string) *Browser {
	t.Helper()
	profile := t.TempDir()
	args := append([]string{"--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-crash-reporter", "--disable-breakpad", "--no-proxy-server", "--hide-scrollbars", "--font-render-hinting=none",
		"--user-data-dir=" + profile}, flags...)
	// Not bound to the test's context: that ends before the browser is asked to close.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), chromium(t), append(args, "about:blank")...)
	// The browser reads commands from its file 3 and writes answers to its file 4.
	theirIn, ourOut, err := os.Pipe()
	must(t, err)
	ourIn, theirOut, err := os.Pipe()
	must(t, err)
	cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	cmd.Env = append(os.Environ(), "HOME="+profile, "XDG_CONFIG_HOME="+profile, "XDG_CACHE_HOME="+profile)
	must(t, cmd.Start())
	_, _ = theirIn.Close(), theirOut.Close()
	b := &Browser{t: t, in: ourOut, waiting: map[int]chan message{}, died: make(chan struct{})}
	go b.listen(ourIn)
	t.Cleanup(func() {
		b.send("", "Browser.close", nil)
		select {
		case <-b.died:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
		}
		_ = cmd.Wait()
		_, _ = ourIn.Close(), ourOut.Close()
	})
	var target struct{ TargetID string }
	b.Call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var session struct{ SessionID string }
	b.Call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	b.session = session.SessionID
	for _, domain := range []string{"Page", "Network", "Runtime", "Log"} {
		b.Call(domain+".enable", nil, nil)
	}
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listen hands answers to those who wait for them and keeps everything else.
func (b *Browser) listen(r io.Reader) {
	defer close(b.died)
	in := bufio.NewReader(r)
	for {
		raw, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(raw[:len(raw)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		if m.ID == 0 {
			b.events = append(b.events, m)
		} else if wait := b.waiting[m.ID]; wait != nil {
			wait <- m
		}
		b.mu.Unlock()
	}
}

func (b *Browser) send(session, method string, params any) chan message {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	wait := make(chan message, 1)
	b.waiting[b.next] = wait
	raw, err := json.Marshal(map[string]any{"id": b.next, "method": method, "params": params, "sessionId": session})
	if session == "" {
		raw, err = json.Marshal(map[string]any{"id": b.next, "method": method, "params": params})
	}
	if err == nil {
		_, _ = b.in.Write(append(raw, 0)) // a browser that went away is told by died
	}
	return wait
}

// Call asks the browser, and takes its answer apart.
func (b *Browser) Call(method string, params, out any) {
	b.t.Helper()
	if params == nil {
		params = map[string]any{}
	}
	select {
	case m := <-b.send(b.session, method, params):
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		if out != nil {
			must(b.t, json.Unmarshal(m.Result, out))
		}
	case <-b.died:
		b.t.Fatalf("%s: the browser went away", method)
	case <-time.After(60 * time.Second):
		b.t.Fatalf("%s: no answer", method)
	}
}

// Eval runs an expression in the page, and waits for what it promises.
func (b *Browser) Eval(expression string, out any) {
	b.t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	b.Call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &answer)
	if answer.ExceptionDetails != nil {
		b.t.Fatalf("%.80s: %s", expression, answer.ExceptionDetails.Exception.Description)
	}
	if out != nil {
		must(b.t, json.Unmarshal(answer.Result.Value, out))
	}
}

// Saw lists what the browser reported of some kinds since Forget.
func (b *Browser) Saw(methods ...string) (lines []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		for _, m := range methods {
			if e.Method == m {
				lines = append(lines, fmt.Sprintf("%s %s", m, e.Params))
			}
		}
	}
	return lines
}

// Keep writes what the browser gave as base64 among the artifacts of the test.
func (b *Browser) Keep(name, data string) []byte {
	b.t.Helper()
	raw, err := base64.StdEncoding.DecodeString(data)
	must(b.t, err)
	must(b.t, os.WriteFile(filepath.Join(b.t.ArtifactDir(), name), raw, 0o600))
	return raw
}

// Forget drops what the browser reported until now.
func (b *Browser) Forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = nil
}
