package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func writeQueue(s *store.Store, run int, ack func(string, ...any)) {
	q := s.Queues()
	forever(4, 0, func(w, i int) {
		if w < 2 {
			id := fmt.Sprintf("%d-%d-%d", run, w, i)
			mustAck(q.Send("q", []store.Message{{ID: id + "a", Body: []byte(id + "a")}, {ID: id + "b", Body: []byte(id + "b")}}))
			ack("sent %sa 0", id)
			ack("sent %sb 0", id)
			return
		}
		leased, err := q.Lease("q", 3, 0, time.Hour)
		mustAck(err)
		for _, l := range leased {
			ack("leased %s %d", l.ID, l.Attempts)
		}
		if len(leased) < 3 { // leave some in flight, now and then
			return
		}
		mustAck(q.Ack("q", leased[0].ID))
		ack("acked %s 0", leased[0].ID)
		mustAck(q.Retry("q", leased[1].ID, 0))
	})
}

// checkQueue drains the queue in a way that the next child finds all as it was but for one attempt more.
func checkQueue(t *testing.T, s *store.Store, h history) {
	sent, gone, attempts := map[string]bool{}, map[string]bool{}, map[string]int{}
	for _, line := range h.acked {
		var what, id string
		var n int
		if _, err := fmt.Sscanf(line, "%s %s %d", &what, &id, &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		switch what {
		case "sent":
			sent[id] = true
		case "acked":
			gone[id] = true
		case "leased":
			attempts[id] = max(attempts[id], n)
		}
	}
	d, err := s.Queues().Depth("q")
	must(t, err)
	if d.InFlight != 0 || d.Delayed != 0 || d.Ready != d.Count {
		t.Fatalf("after a restart: %+v", d)
	}
	leased, err := s.Queues().Lease("q", 1<<20, 0, time.Hour)
	must(t, err)
	var size int64
	held, batches := map[string]bool{}, map[string]int{}
	for _, l := range leased {
		if held[l.ID] || gone[l.ID] || string(l.Body) != l.ID || l.Attempts <= attempts[l.ID] {
			t.Fatalf("%s: held twice %v, acknowledged %v, body %q, attempt %d after %d", l.ID, held[l.ID], gone[l.ID], l.Body, l.Attempts, attempts[l.ID])
		}
		held[l.ID] = true
		size += int64(len(l.Body))
		batches[l.ID[:len(l.ID)-1]]++
	}
	if int64(len(held)) != d.Count || size != d.Bytes {
		t.Fatalf("%d messages of %d bytes are held, the backlog says %+v", len(held), size, d)
	}
	lost := 0
	for id := range sent {
		if !held[id] && !gone[id] {
			lost++
		}
	}
	// Each of the two consumers of a child may have been killed between an acknowledgement and saying so.
	if lost > 2*h.runs {
		t.Fatalf("%d messages were sent and are neither held nor acknowledged, after %d runs", lost, h.runs)
	}
	for batch, n := range batches {
		if n != 2 && !gone[batch+"a"] && !gone[batch+"b"] && lost == 0 {
			t.Fatalf("half of batch %s is there", batch)
		}
	}
}
