package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/cognomega/edge/internal/fault"
)

const (
	helloCode = `export default { fetch() { return new Response("hello from the bench"); } };`
	helloText = "hello from the bench"
	echoCode  = `export default { fetch(request) {
  if (request.headers.get("upgrade") !== "websocket") return new Response("echo from the bench");
  const [client, server] = Object.values(new WebSocketPair());
  server.accept();
  server.addEventListener("message", (event) => server.send(event.data));
  return new Response(null, { status: 101, webSocket: client });
} };`
	echoText = "echo from the bench"

	connections = 8
)

// cost is the CPU time of a request, in ms, and the median latency.
type cost struct{ goCPU, workerd, p50 float64 }

func (s *stage) cost(ctx context.Context, l load) (cost, error) {
	before, err := measureCPU(s.endpoints.PID)
	if err != nil {
		return cost{}, err
	}
	p50, err := l.run(ctx)
	if err != nil {
		return cost{}, err
	}
	after, err := measureCPU(s.endpoints.PID)
	if err != nil {
		return cost{}, err
	}
	d, n := after.since(before), float64(l.requests)
	return cost{ms(d.goCPU) / n, ms(d.workerd) / n, ms(p50)}, nil
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// gateway compares the Worker's CPU of a request through the gateway and a service binding with that of a bare Worker.
func gateway(ctx context.Context, s *stage, o options) ([]figure, error) {
	hello, err := s.deploy(ctx, "bench-hello", helloCode)
	if err != nil {
		return nil, err
	}
	guest, err := exec.CommandContext(ctx, filepath.Join(s.root, "bin", "cogctl"), "--dir", s.dir, "token", "guest").Output()
	if err != nil {
		return nil, fault.New(fault.Unavailable, "get a guest token: %w", err)
	}
	loads := map[string]load{
		"hello":   {dial: s.edge, request: get(hello, "/"), connections: connections, requests: o.requests},
		"binding": {dial: s.edge, request: get(apiHost, "/api/ai/binding"), connections: connections, requests: o.requests},
		"token": {dial: s.edge, request: get(apiHost, "/api/ai/binding", "Authorization: Bearer "+strings.TrimSpace(string(guest))),
			connections: connections, requests: o.requests},
	}
	binding := figure{Name: "gateway: GET /api/ai/binding", Against: "CPU of a bare hello Worker", Unit: "x", Bound: 3, RawUnits: "ms of workerd CPU a request"}
	token := figure{Name: "gateway: the same with a verified token", Against: "CPU of a bare hello Worker", Unit: "x", Bound: 4, RawUnits: binding.RawUnits}
	for round := range o.rounds + 1 {
		costs, err := s.interleaved(ctx, loads, []string{"hello", "binding", "token"})
		if err != nil {
			return nil, err
		}
		if round == 0 {
			continue // compiles and caches
		}
		for f, name := range map[*figure]string{&binding: "binding", &token: "token"} {
			f.keep("hello", costs["hello"].workerd)
			f.keep(name, costs[name].workerd)
			f.keep(name+" go", costs[name].goCPU)
			f.Rounds = append(f.Rounds, costs[name].workerd/costs["hello"].workerd)
		}
	}
	return []figure{binding, token}, nil
}

// interleaved measures several loads of a round in turns, so that what else the machine is doing meets them alike.
func (s *stage) interleaved(ctx context.Context, loads map[string]load, names []string) (map[string]cost, error) {
	const turns = 10
	sum := map[string]cost{}
	for turn := range turns {
		for i := range names {
			name := names[(turn+i)%len(names)]
			l := loads[name]
			l.requests = max(l.requests/turns, l.connections)
			c, err := s.cost(ctx, l)
			if err != nil {
				return nil, err
			}
			all := sum[name]
			sum[name] = cost{all.goCPU + c.goCPU/turns, all.workerd + c.workerd/turns, all.p50 + c.p50/turns}
		}
	}
	return sum, nil
}

// edgeCost compares a Worker behind the edge with the same Worker at its own socket.
func edgeCost(ctx context.Context, s *stage, o options) ([]figure, error) {
	hello, err := s.deploy(ctx, "bench-direct", helloCode)
	if err != nil {
		return nil, err
	}
	direct, err := s.socketOf(ctx, helloText)
	if err != nil {
		return nil, err
	}
	figures := []figure{
		{Name: "edge: Go CPU, 8 connections", Against: "none added", Unit: "ms", Bound: 0.30},
		{Name: "edge: Go CPU, 8 connections, TLS", Against: "none added", Unit: "ms", Bound: 0.30},
		{Name: "edge: Go CPU, 1 connection", Against: "none added", Unit: "ms", Bound: 0.30},
		{Name: "edge: P50 added", Against: "workerd's own socket", Unit: "ms", Bound: 0.30, RawUnits: "ms"},
	}
	for round := range o.rounds + 1 {
		at := func(dial dialer, n int) load {
			return load{dial: dial, request: get(hello, "/"), connections: n, requests: o.requests}
		}
		var costs [4]cost
		for i, l := range []load{at(s.edge, connections), at(s.edgeTLS(hello), connections), at(s.edge, 1), at(direct, 1)} {
			if costs[i], err = s.cost(ctx, l); err != nil {
				return nil, err
			}
		}
		if round == 0 {
			continue
		}
		for i := range 3 {
			figures[i].Rounds = append(figures[i].Rounds, costs[i].goCPU)
		}
		figures[3].keep("direct", costs[3].p50)
		figures[3].keep("edge", costs[2].p50)
		figures[3].Rounds = append(figures[3].Rounds, costs[2].p50-costs[3].p50)
	}
	return figures, nil
}

// webSocket compares the round trip of a small message through the edge with that at the Worker's own socket.
func webSocket(ctx context.Context, s *stage, o options) ([]figure, error) {
	host, err := s.deploy(ctx, "bench-echo", echoCode)
	if err != nil {
		return nil, err
	}
	direct, err := s.socketOf(ctx, echoText)
	if err != nil {
		return nil, err
	}
	f := figure{Name: "edge: WebSocket echo", Against: "workerd's own socket", Unit: "x", Bound: 3, RawUnits: "ms, median round trip"}
	for round := range o.rounds + 1 {
		through, err := echoes(ctx, s.edge, host, o.requests)
		if err != nil {
			return nil, err
		}
		straight, err := echoes(ctx, direct, host, o.requests)
		if err != nil {
			return nil, err
		}
		if round == 0 {
			continue
		}
		f.keep("direct", ms(straight))
		f.keep("edge", ms(through))
		f.Rounds = append(f.Rounds, float64(through)/float64(straight))
	}
	return []figure{f}, nil
}

// echoes is the median round trip of n messages, one after the other.
func echoes(ctx context.Context, dial dialer, host string, n int) (time.Duration, error) {
	c, _, err := websocket.Dial(ctx, "ws://"+host+"/", &websocket.DialOptions{HTTPClient: clientOver(dial)}) //nolint:bodyclose // the connection is the body
	if err != nil {
		return 0, fault.New(fault.Unavailable, "open a WebSocket: %w", err)
	}
	defer func() { _ = c.CloseNow() }()
	message := []byte(strings.Repeat("x", 64))
	took := make([]float64, 0, n)
	for range n {
		start := time.Now()
		if err := c.Write(ctx, websocket.MessageText, message); err != nil {
			return 0, fault.New(fault.Unavailable, "send a message: %w", err)
		}
		if _, _, err := c.Read(ctx); err != nil {
			return 0, fault.New(fault.Unavailable, "read an echo: %w", err)
		}
		took = append(took, float64(time.Since(start)))
	}
	return time.Duration(median(took)), nil
}
