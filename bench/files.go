package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

const (
	fileBytes = 100_000_000
	bareFile  = "bench/bare.bin"

	// bareFiles makes the same calls of R2 as files-svc does, and nothing else.
	bareFiles = `export default { async fetch(request, env) {
  if (request.method === "PUT") { await env.BUCKET.put("` + bareFile + `", request.body); return new Response("ok"); }
  const object = await env.BUCKET.get("` + bareFile + `");
  return new Response(object.body, { headers: { "content-length": String(object.size) } });
} };`
)

// files compares moving a file of 100 MB through the gateway and files-svc with a bare Worker that makes the same call of R2, in turns,
// and looks at the memory of all Workers meanwhile.
func files(ctx context.Context, s *stage, o options) ([]figure, error) {
	bare, err := s.deploy(ctx, "bench-files", bareFiles, `{"type":"r2_bucket","name":"BUCKET","bucket_name":"cognomega-uploads"}`)
	if err != nil {
		return nil, err
	}
	token, err := exec.CommandContext(ctx, filepath.Join(s.root, "bin", "cogctl"), "--dir", s.dir, "token", "mint", "--email", "files@bench.test").Output()
	if err != nil {
		return nil, fault.New(fault.Unavailable, "get a token: %w", err)
	}
	m := mover{client: clientOver(s.edge), bare: "http://" + bare, token: strings.TrimSpace(string(token))}
	// 70 % of the bare Worker's rate is 1/0.7 of its time.
	up := figure{Name: "files: time to upload 100 MB", Against: "a bare Worker doing the same R2 call", Unit: "x", Bound: 1 / 0.7, RawUnits: "s"}
	down := figure{Name: "files: time to download 100 MB", Against: up.Against, Unit: "x", Bound: up.Bound, RawUnits: up.RawUnits}
	memory := figure{Name: "files: workerd's memory over 100 MB in and out", Against: "what it was before", Unit: "MB", Bound: 25, RawUnits: "MB (PSS)"}
	for round := range o.rounds + 1 {
		t, err := m.round(ctx, s, round%2 == 1)
		if err != nil {
			return nil, err
		}
		if round == 0 {
			continue // compiles, and grows what is grown once
		}
		for f, way := range map[*figure][2]float64{&up: t.up, &down: t.down} {
			f.keep("bare", way[0])
			f.keep("files-svc", way[1])
			f.Rounds = append(f.Rounds, way[1]/way[0])
		}
		memory.keep("before", t.before)
		memory.keep("most", t.most)
		memory.Rounds = append(memory.Rounds, t.most-t.before)
	}
	return []figure{up, down, memory}, nil
}

// transfers are what a round took, in seconds: of the bare Worker, and of ours.
type transfers struct {
	up, down     [2]float64
	before, most float64
}

type mover struct {
	client      *http.Client
	bare, token string
}

// round moves the file in and out of both; oursFirst changes the order, so that neither always meets a warmer disk.
func (m mover) round(ctx context.Context, s *stage, oursFirst bool) (t transfers, err error) {
	order := []int{0, 1}
	if oursFirst {
		order = []int{1, 0}
	}
	key := ""
	for _, who := range order {
		var watch *watch
		if who == 1 {
			if watch, err = watchWorkers(s.endpoints.PID); err != nil {
				return t, err
			}
		}
		if t.up[who], key, err = m.upload(ctx, who, key); err == nil {
			t.down[who], err = m.download(ctx, who, key)
		}
		if watch != nil {
			t.before, t.most = watch.stop()
		}
		if err != nil {
			return t, err
		}
	}
	_, err = m.do(ctx, http.MethodDelete, m.fileURL(key), nil, io.Discard)
	return t, err
}

func (m mover) fileURL(key string) string {
	return "http://" + apiHost + "/api/files/" + url.PathEscape(key)
}

func (m mover) upload(ctx context.Context, who int, key string) (float64, string, error) {
	var answer strings.Builder
	method, to := http.MethodPut, m.bare+"/"
	if who == 1 {
		method, to = http.MethodPost, "http://"+apiHost+"/api/files?filename=bench.bin"
	}
	took, err := m.do(ctx, method, to, io.LimitReader(zeros{}, fileBytes), &answer)
	if err != nil || who == 0 {
		return took, key, err
	}
	var stored struct{ Key string }
	if err := json.Unmarshal([]byte(answer.String()), &stored); err != nil || stored.Key == "" {
		return took, key, fault.New(fault.Unavailable, "upload: the answer is %.200s", answer.String())
	}
	return took, stored.Key, nil
}

func (m mover) download(ctx context.Context, who int, key string) (float64, error) {
	from := m.bare + "/"
	if who == 1 {
		from = m.fileURL(key)
	}
	var got counter
	took, err := m.do(ctx, http.MethodGet, from, nil, &got)
	if err == nil && got != fileBytes {
		err = fault.New(fault.Unavailable, "download: %d bytes of %d", got, fileBytes)
	}
	return took, err
}

// do sends a request, reads its whole answer, and gives the seconds that it took.
func (m mover) do(ctx context.Context, method, to string, body io.Reader, into io.Writer) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, method, to, body)
	if err != nil {
		return 0, fault.New(fault.Internal, "make a request: %w", err)
	}
	if body != nil {
		req.ContentLength = fileBytes
	}
	req.Header.Set("Authorization", "Bearer "+m.token)
	start := time.Now()
	res, err := m.client.Do(req)
	if err != nil {
		return 0, fault.New(fault.Unavailable, "%s a file: %w", method, err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(into, res.Body); err != nil {
		return 0, fault.New(fault.Unavailable, "%s a file: %w", method, err)
	}
	took := time.Since(start).Seconds()
	if res.StatusCode != http.StatusOK {
		return took, fault.New(fault.Unavailable, "%s a file: %d %s", method, res.StatusCode, fmt.Sprint(into))
	}
	return took, nil
}

// zeros reads as zero bytes, which cost the generator nothing.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// watch looks at the memory of the processes below one, again and again.
type watch struct {
	end    chan struct{}
	result chan [2]float64
}

const lookEvery = 20 * time.Millisecond

func watchWorkers(pid int) (*watch, error) {
	workers, err := children(pid)
	if err != nil {
		return nil, err
	}
	w := &watch{end: make(chan struct{}), result: make(chan [2]float64, 1)}
	sum := func() (total float64) {
		for _, worker := range workers {
			if mb, err := pss(worker); err == nil { // gone meanwhile, or not
				total += mb
			}
		}
		return total
	}
	before := sum()
	go func() {
		most := before
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-w.end:
				w.result <- [2]float64{before, max(most, sum())}
				return
			case <-tick.C:
				most = max(most, sum())
			}
		}
	}()
	return w, nil
}

// stop gives what the memory was at the start and the most that it came to.
func (w *watch) stop() (before, most float64) {
	close(w.end)
	r := <-w.result
	return r[0], r[1]
}
