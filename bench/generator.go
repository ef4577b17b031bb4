package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cognomega/edge/audit/slo"
	"github.com/cognomega/edge/internal/fault"
)

// loadGenerator measures the measuring: a server of known delays, in a process of its own, stalls for a second, and its own
// log says how long that really took.
func loadGenerator(ctx context.Context, s *stage, o options) ([]figure, error) {
	server := filepath.Join(s.dir, "stalling")
	build := exec.CommandContext(ctx, "go", "build", "-o", server, "./bench/stalling")
	build.Dir = s.root
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fault.New(fault.Unavailable, "build the server: %w\n%s", err, out)
	}
	off := figure{Name: "load generator at 500/s through a 1 s stall: off at P90 and P99", Against: "the server's own log", Unit: "%", Bound: 5, RawUnits: "ms"}
	cpu := figure{Name: "load generator: CPU a request", Against: "a budget", Unit: "ms", Bound: 0.8}
	for range o.rounds {
		if err := oneLoad(ctx, server, &off, &cpu); err != nil {
			return nil, err
		}
	}
	return []figure{off, cpu}, nil
}

func oneLoad(ctx context.Context, server string, off, cpu *figure) error {
	cmd := exec.CommandContext(ctx, server)
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if inErr != nil || outErr != nil || cmd.Start() != nil {
		return fault.New(fault.Unavailable, "start the server of known delays")
	}
	defer func() { _ = cmd.Wait() }() // it has told all that is wanted
	defer in.Close()
	lines := bufio.NewReader(out)
	address, err := lines.ReadString('\n')
	if err != nil {
		return fault.New(fault.Unavailable, "the server of known delays does not say where it is: %w", err)
	}
	plan := slo.Plan{Rate: 500, Requests: 2500, Workers: 1500}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: plan.Workers}}
	defer client.CloseIdleConnections()
	before := ownCPU()
	l := slo.Load(ctx, plan, asking(client, "http://"+strings.TrimSpace(address)+"/"))
	spent := ownCPU() - before
	if l.Starved > 0 || len(l.LatencyUS) != plan.Requests {
		return fault.New(fault.Inconclusive, "the generator fell behind: %d starved, %d of %d answered", l.Starved, len(l.LatencyUS), plan.Requests)
	}
	_ = in.Close()
	truth, err := readLog(lines)
	if err != nil {
		return err
	}
	if len(truth) != plan.Requests {
		return fault.New(fault.Inconclusive, "the server logged %d requests of %d", len(truth), plan.Requests)
	}
	slices.Sort(l.LatencyUS)
	worst := 0.0
	for _, q := range []float64{0.9, 0.99} {
		measured, actual := at(l.LatencyUS, q), at(truth, q)
		off.keep(fmt.Sprintf("P%g measured", q*100), measured)
		off.keep(fmt.Sprintf("P%g true", q*100), actual)
		worst = math.Max(worst, math.Abs(measured-actual)/actual*100)
	}
	off.Rounds = append(off.Rounds, worst)
	cpu.Rounds = append(cpu.Rounds, ms(spent)/float64(plan.Requests))
	return nil
}

func asking(client *http.Client, url string) func(context.Context) string {
	return func(ctx context.Context) string {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err.Error()
		}
		res, err := client.Do(req)
		if err != nil {
			return err.Error()
		}
		defer res.Body.Close()
		_, err = io.Copy(io.Discard, res.Body)
		if err != nil {
			return err.Error()
		}
		return ""
	}
}

func readLog(lines *bufio.Reader) (us []int64, err error) {
	raw, err := io.ReadAll(lines)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "read the server's log: %w", err)
	}
	for _, line := range strings.Fields(string(raw)) {
		n, err := strconv.ParseInt(line, 10, 64)
		if err != nil {
			return nil, fault.New(fault.Internal, "read the server's log: %w", err)
		}
		us = append(us, n)
	}
	slices.Sort(us)
	return us, nil
}

// at is a quantile of sorted microseconds, in milliseconds.
func at(sorted []int64, q float64) float64 {
	return float64(sorted[int(math.Ceil(q*float64(len(sorted))))-1]) / 1000
}

// ownCPU is what this process has spent.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
