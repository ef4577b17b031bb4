package egress

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// seen is an answer that tells of each flush what it took along.
type seen struct {
	http.ResponseWriter
	pending strings.Builder
	flushes chan string
}

func (s *seen) Write(p []byte) (int, error) { return s.pending.Write(p) }

func (s *seen) Flush() {
	s.flushes <- s.pending.String()
	s.pending.Reset()
}

func newSeen() *seen { return &seen{flushes: make(chan string, 100)} }

func TestPiecesThatComeTogetherGoOnTogether(t *testing.T) {
	t.Parallel()
	for range 20 { // a machine at work may take longer between two pieces than they are gathered for
		s := newSeen()
		g := &gathering{ResponseWriter: s}
		for _, piece := range []string{"a", "b", "c", "d"} {
			_, _ = g.Write([]byte(piece))
			_ = g.FlushError()
		}
		if first := <-s.flushes; first != "a" {
			t.Fatalf("after silence %q went on, want the first piece at once", first)
		}
		all := ""
		for all != "bcd" {
			all += <-s.flushes // though nobody writes any more
		}
		if len(s.flushes) == 0 && g.timer != nil {
			return
		}
	}
	t.Error("no two pieces ever went on together")
}

func TestNothingIsFlushedAfterItsHandler(t *testing.T) {
	t.Parallel()
	s := newSeen()
	g := &gathering{ResponseWriter: s, last: time.Now().Add(time.Hour)}
	_, _ = g.Write([]byte("late"))
	_ = g.FlushError()
	g.close()
	g.later()
	if len(s.flushes) != 0 {
		t.Errorf("%q was flushed", <-s.flushes)
	}
}
