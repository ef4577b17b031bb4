// Command stalling is a server of known delays: log-normal around 20 ms, and nobody is answered during one second; it prints how long it really took.
package main

import (
	"bufio"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// served is how long one request was in the server.
type served struct {
	mu    sync.Mutex
	rng   *rand.Rand
	first time.Time
	log   []time.Duration
}

// The stall begins this long after the first request.
const (
	stallAt  = 2 * time.Second
	stallFor = time.Second
)

func (s *served) ServeHTTP(_ http.ResponseWriter, _ *http.Request) {
	began := time.Now()
	s.mu.Lock()
	if s.first.IsZero() {
		s.first = began
	}
	wait := time.Duration(20 * math.Exp(0.5*s.rng.NormFloat64()) * float64(time.Millisecond))
	if at := began.Sub(s.first); at >= stallAt && at < stallAt+stallFor {
		wait += stallAt + stallFor - at
	}
	s.mu.Unlock()
	time.Sleep(wait)
	took := time.Since(began)
	s.mu.Lock()
	s.log = append(s.log, took)
	s.mu.Unlock()
}

// main serves until its input ends, then prints its log in microseconds, one a line.
func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	s := &served{rng: rand.New(rand.NewPCG(1, 2))}
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	fmt.Println(l.Addr())
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // its end, or anything, ends the run
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.log {
		fmt.Println(d.Microseconds())
	}
}
