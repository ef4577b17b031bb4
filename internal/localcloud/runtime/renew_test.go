package runtime

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// scale stands for what processes hold: little at first, and then little still or a lot.
type scale struct {
	mu    sync.Mutex
	known map[int]bool
	heavy atomic.Bool
}

func (s *scale) of(pid int) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.known[pid] {
		s.known[pid] = true
		return 1
	}
	if s.heavy.Load() {
		return 1 + grown + 1
	}
	return grown
}

// renewalBed is a bed where nothing is renewed by itself: its rest is an hour.
func renewalBed(t *testing.T) (*bed, *scale) {
	t.Helper()
	s := &scale{known: map[int]bool{}}
	b := newBed(t, func(c *Config) { c.Rest, c.memory = time.Hour, s.of })
	return b, s
}

func (b *bed) shared() *unit {
	b.rt.mu.RLock()
	defer b.rt.mu.RUnlock()
	return b.rt.units[sharedUnit]
}

// restLong lets the time of a rest have passed since the process started, and since the last request.
func (b *bed) restLong() {
	u := b.shared()
	u.mu.Lock()
	defer u.mu.Unlock()
	ago := 2 * b.rt.cfg.Rest
	u.asked, u.proc.started = time.Now().Add(-ago), time.Now().Add(-ago-time.Second)
}

func (b *bed) wantDue(want bool, when string) {
	b.t.Helper()
	if got := slices.Contains(b.rt.due(), sharedUnit); got != want {
		b.t.Errorf("a renewal is due %s: %v, want %v", when, got, want)
	}
}

func (b *bed) renew() {
	b.t.Helper()
	if err := b.rt.renew(context.Background()); err != nil {
		b.t.Error(err)
	}
}

// TestRenewalIsDueAtRestOnly walks a process through all that keeps it, and then renews it.
func TestRenewalIsDueAtRestOnly(t *testing.T) {
	t.Parallel()
	b, s := renewalBed(t)
	b.deploy(versioned("app", "v0"), counter("room", 1))
	b.want("app", "/", "v0")
	b.restLong()
	b.wantDue(false, "before it has grown")
	s.heavy.Store(true)
	b.wantDue(true, "when it has grown and nobody has asked for long")
	b.want("app", "/", "v0")
	b.wantDue(false, "right after a request")
	b.restLong()
	for _, script := range []string{"app", "room"} {
		lease, err := b.rt.Acquire(context.Background(), script)
		if err != nil {
			t.Fatal(err)
		}
		b.wantDue(false, "while "+script+" has a request")
		lease.Release()
		if script == "room" {
			b.wantDue(false, "right after a request to another process")
		}
		b.restLong()
	}
	room := b.rt.units["room"]
	room.mu.Lock()
	room.asked = time.Time{}
	room.mu.Unlock()
	cron, err := b.rt.acquire(context.Background(), "app", clock, Prefer{})
	if err != nil {
		t.Fatal(err)
	}
	b.wantDue(false, "while a cron trigger runs")
	cron.Release()
	b.wantDue(true, "after a cron trigger, which nobody has asked for")

	pid, owner := b.pidOf("app"), b.pidOf("room")
	b.renew()
	if now := b.pidOf("app"); now == pid || now == 0 {
		t.Errorf("the process was %d and is %d", pid, now)
	}
	if b.pidOf("room") != owner {
		t.Error("the owner of Durable Objects was replaced")
	}
	b.wantDue(false, "before anybody has asked the new process for anything")
	b.want("app", "/", "v0")
	b.restLong()
	b.wantDue(true, "when the new process was used and has grown")
	eventually(t, "the old process has ended", func() bool { return b.rt.processes() == 2 })
	b.testUnasked()
	if status := b.rt.Status()[0]; status.Renewals != 8 || status.Memory == 0 {
		t.Errorf("%+v", status)
	}
}

// testUnasked renews a process for what its cron triggers left, less and less often.
func (b *bed) testUnasked() {
	b.t.Helper()
	for _, age := range []time.Duration{time.Minute, time.Minute, time.Minute, time.Minute, time.Minute, 2 * time.Minute, 4 * time.Minute} {
		b.renew() // the first time after a request, and then each time unasked
		u := b.shared()
		for _, old := range []struct {
			age time.Duration
			due bool
		}{{age - time.Second, false}, {age + time.Second, true}} {
			u.mu.Lock()
			u.proc.started = time.Now().Add(-old.age)
			u.mu.Unlock()
			b.wantDue(old.due, "for a process that nobody has asked for anything, "+old.age.String()+" old")
		}
	}
}

// TestRenewalGivesWay plants what may come between the start of the new process and the switch.
func TestRenewalGivesWay(t *testing.T) {
	t.Parallel()
	b, _ := renewalBed(t)
	b.deploy(versioned("app", "v0"))
	pid := b.pidOf("app")
	slow := b.openSlow("app")
	ws, release := b.openWebSocket("app")
	b.renew()
	if now := b.pidOf("app"); now != pid {
		t.Errorf("the process %d, which had a stream and a WebSocket, became %d", pid, now)
	}
	if text := <-slow; !strings.HasSuffix(text, " 19 ") {
		t.Errorf("the slow response was %q", text)
	}
	b.renew()
	echo(t, ws, "v0:")
	if now := b.pidOf("app"); now != pid {
		t.Errorf("the process %d, which had a WebSocket, became %d", pid, now)
	}
	_ = ws.Close(websocket.StatusNormalClosure, "")
	release()

	p, err := b.rt.Prepare(context.Background(), Change{Put: []Candidate{b.candidate(versioned("app", "v1"))}})
	if err != nil {
		t.Fatal(err)
	}
	b.renew() // a deployment is under way
	p.Commit()
	b.want("app", "/", "v1")
	if status := b.rt.Status()[0]; status.Renewals != 0 {
		t.Errorf("%+v", status)
	}
	b.renew()
	b.want("app", "/", "v1")
	b.deploy(versioned("app", "v2"))
	b.want("app", "/", "v2")
	eventually(t, "one process is left", func() bool { return b.rt.processes() == 1 })
}

// TestRenewalDropsNothing renews again and again while eight clients and a queue come and go.
func TestRenewalDropsNothing(t *testing.T) {
	t.Parallel()
	b, _ := renewalBed(t)
	b.queueApp(store.Consumer{BatchSize: 3, MaxWaitMS: 1, MaxRetries: 3})
	b.deploy(versioned("app", "v0"))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var served, messages atomic.Int64
	var load sync.WaitGroup
	for i := range 8 {
		load.Add(1)
		go func() {
			defer load.Done()
			for ctx.Err() == nil {
				req, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://x.test/", nil)
				want := "v0"
				script := "app"
				if i == 0 {
					body := fmt.Sprintf(`[{"body":"ack %d"}]`, messages.Load())
					req, _ = http.NewRequestWithContext(context.Background(), http.MethodPost, "http://x.test/", strings.NewReader(body))
					want, script = "sent", "consumer"
				}
				began := time.Now()
				status, body, _, err := b.do(script, req)
				took := time.Since(began)
				if err != nil || status != 200 || body != want {
					t.Errorf("%s: %d %q %v", script, status, body, err)
					return
				}
				if i == 0 {
					messages.Add(1)
				}
				served.Add(1)
				time.Sleep(time.Duration(rand.Int64N(int64(20 * took)))) // clients that never pause keep the process
			}
		}()
	}
	eventually(t, "five renewals and three hundred requests", func() bool {
		b.renew()
		return b.rt.Status()[0].Renewals >= 5 && served.Load() >= 300 || t.Failed()
	})
	cancel()
	load.Wait()
	want := make([]string, messages.Load())
	for i := range want {
		want[i] = fmt.Sprintf("ack %d:1", i)
	}
	b.wantGot(want...)
	eventually(t, "one process is left", func() bool { return b.rt.processes() == 1 })
	t.Logf("%d requests and %d messages over %d renewals", served.Load(), len(want), b.rt.Status()[0].Renewals)
}

// TestRenewalByItself lets the runtime look, measure and renew on its own.
func TestRenewalByItself(t *testing.T) {
	t.Parallel()
	s := &scale{known: map[int]bool{}}
	s.heavy.Store(true)
	b := newBed(t, func(c *Config) { c.Rest, c.memory = 30*time.Millisecond, s.of })
	b.deploy(versioned("app", "v0"))
	for i := range 2 {
		b.want("app", "/", "v0")
		eventually(t, "the process is renewed", func() bool { return b.rt.Status()[0].Renewals == i+1 })
	}
}

// TestRenewalSurvivesAKill kills the new process before it serves, and the one that serves while the new one starts.
func TestRenewalSurvivesAKill(t *testing.T) {
	t.Parallel()
	b, _ := renewalBed(t)
	b.deploy(versioned("app", "v0"))
	old := b.pidOf("app")
	killed := make(chan int, 1)
	go func() { killed <- b.killNewest(old) }()
	err := b.rt.renew(context.Background())
	if pid := <-killed; err != nil && b.pidOf("app") != old {
		t.Errorf("not renewed (%v), and process %d, which served, does so no more", err, old)
	} else if err == nil {
		eventually(t, "the death is noticed", func() bool { return b.pidOf("app") != pid })
	}
	b.want("app", "/", "v0")
	eventually(t, "one process is left", func() bool { return b.rt.processes() == 1 })

	renewed := make(chan error, 1)
	go func() { renewed <- b.rt.renew(context.Background()) }()
	b.kill("app")
	if err := <-renewed; err != nil {
		t.Error(err)
	}
	b.want("app", "/", "v0")
	eventually(t, "one process is left", func() bool { return b.rt.processes() == 1 })
}

// killNewest kills the first process that appears beside those given.
func (b *bed) killNewest(old ...int) (pid int) {
	eventually(b.t, "a second process", func() bool {
		records, _ := filepath.Glob(filepath.Join(b.rt.paths.run, "*.pid"))
		for _, record := range records {
			if n, _ := strconv.Atoi(strings.TrimSuffix(filepath.Base(record), ".pid")); n > 0 && !slices.Contains(old, n) {
				pid = n
			}
		}
		return pid != 0
	})
	_ = syscall.Kill(pid, syscall.SIGKILL)
	return pid
}
