// Command check holds the ledger and KV against a manifest of what was sent, and shares no code with what sent it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// verdict is what was found; nothing may be in Wrong.
type verdict struct {
	Exact       bool      `json:"exact"`
	Wrong       []string  `json:"wrong"`
	Events      int64     `json:"events"`
	SumMicro    int64     `json:"sum_micro"` // of the manifest
	LedgerMicro int64     `json:"ledger_micro"`
	Accounts    int       `json:"accounts"`
	Owed        int64     `json:"owed_micro"` // beyond the floor
	LastWrite   time.Time `json:"last_write"`
	AgreedAfter float64   `json:"kv_agreed_after_s"` // of the last write to the ledger
}

func (v *verdict) wrongf(format string, args ...any) {
	v.Wrong = append(v.Wrong, fmt.Sprintf(format, args...))
}

func main() {
	dir := flag.String("dir", ".local", "the local cloud's folder")
	manifest := flag.String("manifest", "manifest.tsv", "what was sent")
	database := flag.String("database", os.Getenv("LEDGER_URL"), "the ledger's connection string (default: LEDGER_URL)")
	wait := flag.Duration("wait", 10*time.Minute, "how long the ledger may take to have everything")
	within := flag.Duration("within", 60*time.Second, "how long after the ledger's last write KV may differ")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	v, err := run(ctx, *database, *manifest, *dir, *wait, *within)
	if err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(3)
	}
	v.Exact = len(v.Wrong) == 0
	_ = json.NewEncoder(os.Stdout).Encode(v)
	if !v.Exact {
		os.Exit(1)
	}
}

func run(ctx context.Context, database, manifest, dir string, wait, within time.Duration) (*verdict, error) {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	v := &verdict{Wrong: []string{}}
	l := ledger{conn: conn, v: v}
	if err := l.load(ctx, manifest); err != nil {
		return nil, err
	}
	if err := l.awaitAll(ctx, wait); err != nil {
		return nil, err
	}
	// The copies first: judging a long journal takes longer than they may take to agree.
	if err := l.lastWrite(ctx); err != nil {
		return nil, err
	}
	if err := agree(ctx, conn, dir, within, v); err != nil {
		return nil, err
	}
	return v, l.judge(ctx)
}
