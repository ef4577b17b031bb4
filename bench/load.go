package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

type dialer func(ctx context.Context) (net.Conn, error)

// load is a closed loop: each connection sends the next request when the answer to the last one was read.
type load struct {
	dial        dialer
	request     string
	connections int
	requests    int
	ends        string // what the body of a whole answer ends with, where that tells it from one that broke off
}

// run sends all requests and gives the median latency.
func (l load) run(ctx context.Context) (time.Duration, error) {
	all, err := l.all(ctx)
	if err != nil {
		return 0, err
	}
	return all[len(all)/2], nil
}

// all sends all requests and gives the latencies in order. An answer other than 200 is an error: a fast refusal is no figure.
func (l load) all(ctx context.Context) ([]time.Duration, error) {
	var (
		mu   sync.Mutex
		all  []time.Duration
		errs = make(chan error, l.connections)
	)
	for range l.connections {
		go func() {
			took, err := l.one(ctx, l.requests/l.connections)
			mu.Lock()
			all = append(all, took...)
			mu.Unlock()
			errs <- err
		}()
	}
	for range l.connections {
		if err := <-errs; err != nil {
			return nil, err
		}
	}
	slices.Sort(all)
	return all, nil
}

func (l load) one(ctx context.Context, n int) ([]time.Duration, error) {
	c, err := l.dial(ctx)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "dial: %w", err)
	}
	defer func() { _ = c.Close() }()
	br := bufio.NewReader(c)
	took := make([]time.Duration, 0, n)
	for range n {
		start := time.Now()
		if _, err := io.WriteString(c, l.request); err != nil {
			return nil, fault.New(fault.Unavailable, "send a request: %w", err)
		}
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			return nil, fault.New(fault.Unavailable, "read an answer: %w", err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !strings.HasSuffix(strings.TrimSpace(string(body)), l.ends) {
			return nil, fault.New(fault.Unavailable, "answer %d %.200s (%v)", resp.StatusCode, body, err)
		}
		took = append(took, time.Since(start))
	}
	return took, nil
}

func get(host, path string, headers ...string) string {
	request := "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n"
	for _, h := range headers {
		request += h + "\r\n"
	}
	return request + "\r\n"
}

// posting is a request with a JSON body.
func posting(host, path, body string, headers ...string) string {
	headers = append(headers, "Content-Type: application/json", "Content-Length: "+strconv.Itoa(len(body)))
	return "POST" + strings.TrimPrefix(get(host, path, headers...), "GET") + body
}
