package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// event is one use, or a grant, in the form that the queue carries.
type event struct {
	V       int            `json:"v"`
	ID      string         `json:"id"`
	Kind    string         `json:"kind"`
	Account string         `json:"account"`
	Amount  int64          `json:"amount"`
	AtMS    int64          `json:"at_ms"`
	Meta    map[string]any `json:"meta"`
}

// plan says what is sent, and how badly.
type plan struct {
	events, accounts int
	rate             int
	twice, lost      float64
	seed             uint64
}

// all are the unique events, in the order in which they happened. Every second account is given credits, some in the middle of
// its uses, so that both those who can pay and those who come to owe are seen.
func (p plan) all() []event {
	r := rand.New(rand.NewPCG(p.seed, 1))
	from := time.Now().UTC().Add(-time.Hour).UnixMilli()
	all := make([]event, 0, p.events)
	for i := range p.events {
		e := event{
			V: 1, ID: uuid(r), Kind: "usage", Account: fmt.Sprintf("exact-%d-%04d@example.test", p.seed, r.IntN(p.accounts)), Amount: 50 * (1 + r.Int64N(4000)),
			AtMS: from + int64(i)/10, Meta: map[string]any{"route": "/api/si/ask", "tokens_in": 1, "tokens_out": 1},
		}
		if i%997 == 0 {
			e.Kind, e.Amount, e.Account = "grant", 50_000_000, fmt.Sprintf("exact-%d-%04d@example.test", p.seed, 2*r.IntN((p.accounts+1)/2))
		}
		all = append(all, e)
	}
	return all
}

func uuid(r *rand.Rand) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], r.Uint64())
	binary.BigEndian.PutUint64(b[8:], r.Uint64())
	b[6], b[8] = b[6]&0x0f|0x70, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// window is how far an event may come before or after its turn.
const window = 5_000

// disordered is the order of sending: shuffled within windows, with some events a second time, at once or long after.
func (p plan) disordered(all []event) (order []event, duplicates int64) {
	r := rand.New(rand.NewPCG(p.seed, 2))
	for from := 0; from < len(all); from += window {
		part := append([]event{}, all[from:min(from+window, len(all))]...)
		for range int(float64(len(part)) * p.twice) {
			part = append(part, all[r.IntN(min(from+window, len(all)))])
			duplicates++
		}
		r.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
		order = append(order, part...)
	}
	return order, duplicates
}

const (
	batchSize = 100 // Cloudflare's limit
	senders   = 4
)

// await holds the n-th message back until its turn.
func (p plan) await(ctx context.Context, start time.Time, n int) {
	if p.rate == 0 {
		return
	}
	select {
	case <-time.After(time.Until(start.Add(time.Duration(n) * time.Second / time.Duration(p.rate)))):
	case <-ctx.Done():
	}
}

// send sends everything, in batches; one whose answer is lost is sent again until an answer comes.
func send(ctx context.Context, p plan, q *queue, all []event, r *report) error {
	order, duplicates := p.disordered(all)
	r.Duplicates = duplicates
	var messages, resent atomic.Int64
	batches := make(chan []event)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(batches)
		start := time.Now()
		for from := 0; from < len(order); from += batchSize {
			p.await(ctx, start, from)
			select {
			case batches <- order[from:min(from+batchSize, len(order))]:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for n := range senders {
		lose := rand.New(rand.NewPCG(p.seed, uint64(100+n)))
		g.Go(func() error {
			for batch := range batches {
				again, err := q.deliver(ctx, batch, func() bool { return lose.Float64() < p.lost })
				if err != nil {
					return err
				}
				messages.Add(int64(len(batch)) * int64(1+again))
				resent.Add(int64(len(batch)) * int64(again))
			}
			return nil
		})
	}
	err := g.Wait()
	r.Messages, r.Resent = messages.Load(), resent.Load()
	return err
}
