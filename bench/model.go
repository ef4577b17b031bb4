package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cognomega/edge/internal/fault"
)

const (
	chatPath  = "/v1/chat/completions"
	modelTurn = 2 // turns of a round, in which each way asks a part of its questions
)

// way is one way of asking the same model, and what it spends on that.
type way struct {
	name    string
	dial    dialer
	host    string
	headers []string
	spent   func() (spent, error)
	// rest waits until what comes after the answers is done as well, so that it is counted.
	rest func(ctx context.Context, asked int) error
}

// shape is what is asked at once, and in which form the answer comes.
type shape struct {
	name        string
	stream      bool
	connections int
	requests    int
}

func shapes(o options) []shape {
	few, many := max(o.requests/80, modelTurn), max(o.requests/10, 10*modelTurn)
	return []shape{{"JSON, 1 at once", false, 1, few}, {"JSON, 10 at once", false, 10, many}, {"stream, 1 at once", true, 1, few}, {"stream, 10 at once", true, 10, many}}
}

// part is what is asked in a turn.
func (s shape) part() int { return s.requests / modelTurn / s.connections * s.connections }

func (s shape) ask(w way) load {
	body := fmt.Sprintf(`{"model":"gpt-4o-mini","max_tokens":256,"stream":%t,"messages":[{"role":"user","content":%q}]}`, s.stream, modelQuestion)
	ends := "}"
	if s.stream {
		ends = "data: [DONE]"
	}
	return load{dial: w.dial, request: posting(w.host, chatPath, body, w.headers...), connections: s.connections, requests: s.part(), ends: ends}
}

// modelQuestion is repeated in the answer, a chunk a word when it is a stream.
var modelQuestion = strings.TrimSpace(strings.Repeat("what does a lease say ", 6))

// models asks one double directly, through Portkey's gateway, and through the platform: with a token that is verified, under a rate and a
// budget, and metered into the ledger.
func models(ctx context.Context, s *stage, db *pgx.Conn, o options) ([]figure, error) {
	upstream, stop, err := s.startUpstream(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	portkey, end, err := s.startPortkey(ctx, upstream)
	if err != nil {
		return nil, err
	}
	defer end()
	ours, err := s.platformWay(ctx, db, upstream)
	if err != nil {
		return nil, err
	}
	direct := way{name: "direct", dial: tcp(upstream), host: upstream, headers: []string{"Authorization: Bearer bench"}, spent: nothingSpent, rest: nothingLeft}
	alone, quit, err := s.aloneWay(ctx, upstream)
	if err != nil {
		return nil, err
	}
	defer quit()
	bare, err := s.bareWay(ctx, upstream)
	if err != nil {
		return nil, err
	}
	var seen []trial
	for round := range o.rounds + 1 {
		for _, shape := range shapes(o) {
			t, err := compare(ctx, shape, []way{direct, portkey, alone, bare, ours})
			if err != nil {
				return nil, err
			}
			if round > 0 { // the first compiles and caches
				seen = append(seen, t)
			}
		}
	}
	return modelFigures(shapes(o), seen), nil
}

// trial is what one round saw of one shape: latencies in order, and CPU, by way.
type trial struct {
	shape     string
	requests  int
	latencies map[string][]time.Duration
	cpu       map[string]spent
}

// compare has each way ask its part in turns, so that what else the machine is doing meets them alike.
func compare(ctx context.Context, sh shape, ways []way) (trial, error) {
	t := trial{shape: sh.name, requests: sh.part() * modelTurn, latencies: map[string][]time.Duration{}, cpu: map[string]spent{}}
	for turn := range modelTurn {
		for i := range ways {
			w := ways[(turn+i)%len(ways)]
			before, err := w.spent()
			if err != nil {
				return t, err
			}
			took, err := sh.ask(w).all(ctx)
			if err == nil {
				err = w.rest(ctx, sh.part())
			}
			if err != nil {
				return t, fault.New(fault.KindOf(err), "ask %s, %s: %w", w.name, sh.name, err)
			}
			after, err := w.spent()
			if err != nil {
				return t, err
			}
			used, sum := after.since(before), t.cpu[w.name]
			t.cpu[w.name] = spent{sum.goCPU + used.goCPU, sum.workerd + used.workerd}
			t.latencies[w.name] = append(t.latencies[w.name], took...)
		}
	}
	for _, all := range t.latencies {
		slices.Sort(all)
	}
	return t, nil
}

func tcp(address string) dialer {
	return func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", address) }
}

func nothingSpent() (spent, error) { return spent{}, nil }

func nothingLeft(context.Context, int) error { return nil }

// startUpstream runs the double that all ways ask, and gives its address.
func (s *stage) startUpstream(ctx context.Context) (address string, stop func(), err error) {
	program := filepath.Join(s.dir, "upstream")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./bench/upstream")
	build.Dir = s.root
	if out, err := build.CombinedOutput(); err != nil {
		return "", nil, fault.New(fault.Unavailable, "build the upstream: %w\n%s", err, out)
	}
	cmd := exec.CommandContext(ctx, program)
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if inErr != nil || outErr != nil || cmd.Start() != nil {
		return "", nil, fault.New(fault.Unavailable, "start the upstream")
	}
	stop = func() { _, _ = in.Close(), cmd.Wait() }
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fault.New(fault.Unavailable, "the upstream does not say where it is: %w", err)
	}
	return strings.TrimSpace(line), stop, nil
}

// awaitHTTP waits until something answers.
func awaitHTTP(ctx context.Context, url string) error {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return fault.New(fault.Internal, "make a request: %w", err)
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			return nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return fault.New(fault.Unavailable, "nothing answers at %s", url)
}
