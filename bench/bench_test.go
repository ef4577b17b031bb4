package main

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestMedianAndVerdict(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		rounds []float64
		bound  float64
		median float64
		ok     bool
	}{
		"odd":         {[]float64{3, 1, 2}, 2, 2, true},
		"even":        {[]float64{4, 1, 2, 3}, 2.4, 2.5, false},
		"one outlier": {[]float64{1, 1, 1, 1, 100}, 1, 1, true},
		"no rounds":   {nil, 1, 0, false},
	}
	for name, tt := range tests {
		if got := summarise(figure{Rounds: tt.rounds, Bound: tt.bound}); got.Median != tt.median || got.OK != tt.ok {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestParseParent(t *testing.T) {
	t.Parallel()
	got, err := parseParent([]byte("12 (a (b) c) S 7 12 12 0 -1 4194560 1 2 3 4 150 50 9 9 20 0 1 0 100 0 0\n"))
	if err != nil || got != 7 {
		t.Errorf("%d, %v", got, err)
	}
	for _, raw := range []string{"", "12 (x", "12 (x) S", "12 (x) S one 12 12"} {
		if _, err := parseParent([]byte(raw)); err == nil {
			t.Errorf("%q is taken", raw)
		}
	}
}

func TestParsePSS(t *testing.T) {
	t.Parallel()
	if got, err := parsePSS("00400000-7ffc r-xp\nRss:  4096 kB\nPss:     2048 kB\nPss_Dirty: 1 kB\n"); err != nil || got != 2 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := parsePSS("Rss: 1 kB\n"); err == nil {
		t.Error("no Pss is taken")
	}
}

func TestChildrenAndCPU(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "sleep 60 & wait")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The shell's own child is found as well, and both end with the test.
	t.Cleanup(func() {
		kids, _ := children(cmd.Process.Pid)
		for _, pid := range append(kids, cmd.Process.Pid) {
			if p, err := os.FindProcess(pid); err == nil {
				_ = p.Kill()
			}
		}
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		kids, err := children(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if len(kids) >= 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("children: %v", kids)
		}
	}
	before, err := measureCPU(os.Getpid())
	if err != nil || before.goCPU <= 0 || before.workerd <= 0 {
		t.Errorf("%+v, %v", before, err)
	}
	after := before
	for after.since(before).goCPU == 0 && err == nil { // reading the clock is work of its own
		after, err = measureCPU(os.Getpid())
	}
	if used := after.since(before).goCPU; err != nil || used%(10*time.Millisecond) == 0 {
		t.Errorf("%s used, %v: a clock of ticks is too coarse", used, err)
	}
}

func TestLoadCountsOnlyGoodAnswers(t *testing.T) {
	t.Parallel()
	for status, good := range map[string]bool{"200 OK": true, "503 Busy": false} {
		dial := func(context.Context) (net.Conn, error) {
			client, server := net.Pipe()
			go answerAll(server, status)
			return client, nil
		}
		p50, err := load{dial: dial, request: get("x.test", "/", "A: b"), connections: 2, requests: 10}.run(t.Context())
		if (err == nil) != good || good && p50 <= 0 {
			t.Errorf("%s: %v, %v", status, p50, err)
		}
	}
}

func answerAll(c net.Conn, status string) {
	defer c.Close()
	br := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(br)
		if err != nil || r.Host != "x.test" || r.Header.Get("A") != "b" {
			return
		}
		if _, err := c.Write([]byte("HTTP/1.1 " + status + "\r\nContent-Length: 2\r\n\r\nok")); err != nil {
			return
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	got := []string{number(0.08751), number(2.734), number(64.2), number(1234.5)}
	if strings.Join(got, " ") != "0.0875 2.73 64.2 1234" {
		t.Errorf("%v", got)
	}
}
