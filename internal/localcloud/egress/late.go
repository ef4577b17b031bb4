package egress

import (
	"net/http"
	"sync"
	"time"
)

// together is how long pieces of an answer may wait for those that follow them. Each piece that goes on by itself costs a turn in every
// process on its way; nobody sees a thousandth of a second.
const together = time.Millisecond

// gathering passes an answer on as it comes, but what comes within a moment of the last flush in one piece. What comes after silence goes at
// once.
type gathering struct {
	http.ResponseWriter

	mu     sync.Mutex
	last   time.Time
	timer  *time.Timer
	due    bool // the timer is set
	closed bool
}

func (g *gathering) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ResponseWriter.Write(p)
}

// FlushError is what http.ResponseController calls.
func (g *gathering) FlushError() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch wait := together - time.Since(g.last); {
	case g.due:
		return nil
	case wait <= 0:
		return g.flush()
	case g.timer == nil:
		g.timer = time.AfterFunc(wait, g.later)
	default:
		g.timer.Reset(wait)
	}
	g.due = true
	return nil
}

func (g *gathering) later() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.due = false
	if !g.closed {
		_ = g.flush() // who writes next is told
	}
}

func (g *gathering) flush() error {
	g.last = time.Now()
	return http.NewResponseController(g.ResponseWriter).Flush()
}

// close ends it with its handler, after which net/http lets nobody touch the answer.
func (g *gathering) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	if g.timer != nil {
		g.timer.Stop()
	}
}

// Unwrap lets a WebSocket's connection be taken over.
func (g *gathering) Unwrap() http.ResponseWriter { return g.ResponseWriter }
