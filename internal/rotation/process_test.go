package rotation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/localcloud/api/apitest"
	"github.com/cognomega/edge/internal/rotation"
)

// operatorEnv makes this test program an operator: a process of its own that rotates, and that can be killed.
const operatorEnv = "ROTATION_OPERATOR_OF"

func TestMain(m *testing.M) {
	if control := os.Getenv(operatorEnv); control != "" {
		os.Exit(operate(control))
	}
	os.Exit(m.Run())
}

// operate rotates or resumes, in the time of the world that the control address belongs to.
func operate(control string) int {
	world := remote{control}
	c, err := contract.Load()
	if err != nil {
		return world.fail(err)
	}
	client, err := cfapi.New(cfapi.Config{BaseURL: control + "/client/v4", Token: apitest.Token, AccountID: apitest.AccountID, RetryMax: -1})
	if err != nil {
		return world.fail(err)
	}
	r, err := rotation.New(rotation.Config{
		Contract: c, Account: client, Edge: world, Owner: "process", Now: world.clock, NewKey: world.newKey,
		Sleep: func(_ context.Context, d time.Duration) error {
			return world.get("sleep", url.Values{"d": {d.String()}}, nil)
		},
		Say: func(p rotation.Progress) { fmt.Println(p.What) },
	})
	if err != nil {
		return world.fail(err)
	}
	verb := r.Rotate
	if os.Args[len(os.Args)-1] == "resume" {
		verb = r.Resume
	}
	out, err := verb(context.Background(), false)
	if err != nil {
		return world.fail(err)
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return world.fail(err)
	}
	fmt.Printf("OUTCOME %s\n", raw)
	return 0
}

// remote is the world as another process reaches it.
type remote struct{ base string }

func (r remote) fail(err error) int {
	fmt.Println("ERROR", err)
	return 1
}

func (r remote) get(what string, query url.Values, out any) error {
	res, err := http.Get(r.base + "/control/" + what + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s %s %w", what, res.Status, raw, err)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}

func (r remote) clock() time.Time {
	var at time.Time
	_ = r.get("now", nil, &at)
	return at
}

func (r remote) newKey() (rotation.Key, error) {
	var pem string
	if err := r.get("key", nil, &pem); err != nil {
		return rotation.Key{}, err
	}
	return rotation.ReadKey(pem)
}

func (r remote) Served(context.Context) (s rotation.Served, err error) {
	return s, r.get("served", nil, &s)
}
func (r remote) Mint(context.Context) (t rotation.Token, err error) { return t, r.get("mint", nil, &t) }
func (r remote) Accepts(context.Context, string) (bool, error)      { return false, nil }

// gallows is the world's server for processes, and kills one at its n-th call of the API with SIGKILL.
type gallows struct {
	w     *world
	next  http.Handler
	mu    sync.Mutex
	at    int
	after bool
	seen  int
	calls []string
	cmd   *exec.Cmd
}

func (g *gallows) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if what, isControl := strings.CutPrefix(r.URL.Path, "/control/"); isControl {
		g.control(rw, r, what)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen++
	g.calls = append(g.calls, r.Method+" "+r.URL.Path)
	if g.seen != g.at {
		g.w.pass(700 * time.Millisecond)
		g.next.ServeHTTP(rw, r)
		return
	}
	if g.after {
		g.next.ServeHTTP(httptest.NewRecorder(), r)
	}
	_ = g.cmd.Process.Kill() // SIGKILL, of a process that this test started
	panic(http.ErrAbortHandler)
}

func (g *gallows) control(rw http.ResponseWriter, r *http.Request, what string) {
	var (
		out any
		err error
	)
	e := edge{g.w, nil}
	switch what {
	case "now":
		out = g.w.clock()
	case "sleep":
		var d time.Duration
		if d, err = time.ParseDuration(r.URL.Query().Get("d")); err == nil {
			err = g.w.sleep(context.Background(), d)
		}
	case "key":
		var k rotation.Key
		k, err = g.w.newKey()
		out = k.PEM()
	case "served":
		out, err = e.Served(r.Context())
	case "mint":
		out, err = e.Mint(r.Context())
	}
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(rw).Encode(out)
}

// run starts a process, and gives what it printed and whether it ended by itself.
func (g *gallows) run(t *testing.T, control, verb string) (string, rotation.Outcome, bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], verb)
	cmd.Env = append(os.Environ(), operatorEnv+"="+control)
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	g.mu.Lock()
	g.cmd = cmd
	err := cmd.Start()
	g.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	ended := cmd.Wait() == nil
	var out rotation.Outcome
	if _, raw, found := strings.Cut(printed.String(), "OUTCOME "); found {
		if err := json.Unmarshal([]byte(raw), &out); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Fprintln(&g.w.told, printed.String())
	return printed.String(), out, ended
}

func newGallows(t *testing.T, h *host, visible time.Duration) (*gallows, string) {
	t.Helper()
	w := newWorld(t, h, visible)
	g := &gallows{w: w, next: w.handler}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	return g, server.URL
}

// TestKilledProcesses kills a real process with SIGKILL at each writing call, before and after its effect, and has a second process
// go on. KV is as slow as it may be.
func TestKilledProcesses(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	g, control := newGallows(t, h, 120*time.Second)
	if printed, out, ended := g.run(t, control, "rotate"); !ended || g.w.finished(out) != nil {
		t.Fatalf("%s: %v", printed, g.w.finished(out))
	}
	calls := g.calls
	killed := 0
	for at, call := range calls {
		for _, after := range []bool{false, true} {
			if !writes(call) {
				continue
			}
			killed++
			t.Run(fmt.Sprintf("%d %s after=%t", at+1, call, after), func(t *testing.T) { killProcess(t, h, at+1, after) })
		}
	}
	t.Logf("killed %d processes in %d calls", killed, len(calls))
	if killed < 20 {
		t.Errorf("only %d kills: the calls were not seen", killed)
	}
}

func killProcess(t *testing.T, h *host, at int, after bool) {
	t.Helper()
	g, control := newGallows(t, h, 120*time.Second)
	g.at, g.after = at, after
	if printed, _, ended := g.run(t, control, "rotate"); ended || g.seen < at {
		t.Fatalf("not killed: %s", printed)
	}
	g.w.tick()
	printed, out, ended := g.run(t, control, "resume")
	if !ended || out.Document.Rotation == 0 {
		printed, out, ended = g.run(t, control, "rotate")
	}
	if !ended {
		t.Fatalf("the second process: %s", printed)
	}
	if err := g.w.finished(out); err != nil {
		t.Error(err)
	}
}
