// Command generate sends usage to the platform's queue as a bad network would: some twice, out of order, and again whenever an answer was lost.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// report is what was sent; what must come of it is in the manifest, line by line.
type report struct {
	Events     int       `json:"events"` // unique
	Sum        int64     `json:"sum_micro"`
	Messages   int64     `json:"messages"`   // that the queue took, as far as this program knows
	Duplicates int64     `json:"duplicates"` // sent again on purpose
	Resent     int64     `json:"resent"`     // because an answer did not come, or was thrown away
	Seconds    float64   `json:"seconds"`
	Ended      time.Time `json:"ended"`
}

func main() {
	var p plan
	dir := flag.String("dir", ".local", "the local cloud's folder")
	manifest := flag.String("manifest", "manifest.tsv", "file to write every unique event into")
	flag.IntVar(&p.events, "events", 100_000, "unique events")
	flag.IntVar(&p.accounts, "accounts", 500, "accounts they belong to")
	flag.Float64Var(&p.twice, "duplicates", 0.05, "share of events that are sent twice")
	flag.Float64Var(&p.lost, "lost", 0.02, "share of answers that are thrown away, so that their batch is sent again")
	flag.IntVar(&p.rate, "rate", 0, "messages a second (0: as fast as the queue takes them)")
	flag.Uint64Var(&p.seed, "seed", 1, "the same seed gives the same events")
	timeout := flag.Duration("timeout", time.Hour, "give up after this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	r, err := run(ctx, p, &queue{dir: *dir, name: "cognomega-usage-events"}, *manifest)
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(r)
}

// run writes the manifest first: whatever becomes of this program, what it may have sent is known.
func run(ctx context.Context, p plan, q *queue, manifest string) (report, error) {
	start := time.Now()
	all := p.all()
	r := report{Events: len(all)}
	for _, e := range all {
		r.Sum += e.Amount
	}
	if err := write(manifest, all); err != nil {
		return r, err
	}
	err := send(ctx, p, q, all, &r)
	r.Seconds, r.Ended = time.Since(start).Seconds(), time.Now().UTC()
	return r, err
}

func write(path string, all []event) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	for _, e := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", e.ID, e.Kind, e.Account, e.Amount)
	}
	return errors.Join(w.Flush(), f.Sync())
}
