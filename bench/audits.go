package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/api"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// corsMatrix is the whole matrix by the built program, scaled to 500 requests.
func corsMatrix(ctx context.Context, s *stage, o options) ([]figure, error) {
	f := figure{Name: "cogctl audit cors, for 500 requests", Against: "a budget", Unit: "s", Bound: 3, RawUnits: "requests"}
	for range o.rounds {
		took, out, err := s.output(ctx, "audit", "cors", "--output", "json")
		if err != nil {
			return nil, err
		}
		var r struct{ Requests int }
		if err := json.Unmarshal(out, &r); err != nil || r.Requests == 0 {
			return nil, fault.New(fault.Inconclusive, "the matrix says nothing of its requests: %w", err)
		}
		f.keep("requests", float64(r.Requests))
		f.Rounds = append(f.Rounds, took.Seconds()*500/float64(r.Requests))
	}
	return []figure{f}, nil
}

// takeSnapshot reads all of the platform.
func takeSnapshot(ctx context.Context, s *stage, o options) ([]figure, error) {
	f := figure{Name: "cogctl env snapshot of the whole platform", Against: "a budget", Unit: "s", Bound: 2}
	for range o.rounds {
		took, err := s.cogctl(ctx, "env", "snapshot", "--dry-run")
		if err != nil {
			return nil, err
		}
		f.Rounds = append(f.Rounds, took.Seconds())
	}
	return []figure{f}, nil
}

// showHelp asks every command for its help; the slowest counts, each by the best of its starts, as a start is shorter than a
// moment's disturbance.
func showHelp(ctx context.Context, s *stage, o options) ([]figure, error) {
	commands, err := s.commands(ctx, nil)
	if err != nil {
		return nil, err
	}
	f := figure{Name: "help of the slowest command", Against: fmt.Sprintf("a budget, of %d commands", len(commands)), Unit: "ms", Bound: 20}
	for range o.rounds {
		worst := 0.0
		for _, words := range commands {
			best := 0.0
			for n := range 3 {
				took, err := s.cogctl(ctx, append(slices.Clone(words), "--help")...)
				if err != nil {
					return nil, err
				}
				if n == 0 || ms(took) < best {
					best = ms(took)
				}
			}
			worst = max(worst, best)
		}
		f.Rounds = append(f.Rounds, worst)
	}
	return []figure{f}, nil
}

// commands lists every command by what its help says is below it.
func (s *stage) commands(ctx context.Context, above []string) ([][]string, error) {
	_, out, err := s.output(ctx, append(slices.Clone(above), "--help")...)
	if err != nil {
		return nil, err
	}
	all := [][]string{above}
	listing := false
	for line := range strings.Lines(string(out)) {
		switch {
		case !strings.HasPrefix(line, " ") && strings.TrimSpace(line) != "":
			// At the top every section lists commands, up to the flags; below, one does.
			listing = strings.TrimSpace(line) == "Commands" || len(above) == 0 && !strings.HasPrefix(line, "Examples") && !strings.HasPrefix(line, "Flags") && !strings.HasPrefix(line, "Exit")
		case listing && strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "   "):
			below, err := s.commands(ctx, append(slices.Clone(above), strings.Fields(line)[0]))
			if err != nil {
				return nil, err
			}
			all = append(all, below...)
		}
	}
	return all, nil
}

// output runs the built program and gives what it prints.
func (s *stage) output(ctx context.Context, args ...string) (time.Duration, []byte, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.root, "bin", "cogctl"), args...)
	cmd.Dir, cmd.Env = s.root, append(os.Environ(), "COGCTL_LOCAL_DIR="+s.dir)
	start := time.Now()
	out, err := cmd.Output()
	if err != nil {
		return 0, nil, fault.New(fault.Unavailable, "cogctl %s: %w", strings.Join(args, " "), err)
	}
	return time.Since(start), out, nil
}

// auditAccount decides 10,000 routes over 100 zones, and counts what reading them takes.
func auditAccount(ctx context.Context, s *stage, o options) ([]figure, error) {
	const zones, token, id = 100, "0123456789012345678901234567890123456789", "fedcba9876543210fedcba9876543210"
	held, err := store.Open(filepath.Join(s.dir, "account"), store.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = held.Close() }()
	if err := held.Update(func(tx *store.Tx) error { return fillAccount(tx, zones, token) }); err != nil {
		return nil, err
	}
	var requests atomic.Int64
	inner := api.New(api.Config{Store: held, AccountID: id, AccountName: "bench"})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { requests.Add(1); inner.ServeHTTP(w, r) }))
	defer server.Close()
	client, err := cfapi.New(cfapi.Config{BaseURL: server.URL + api.Prefix, Token: token, AccountID: id})
	if err != nil {
		return nil, err
	}
	// Zones come 50 to a page; each has a page of routes, of records and of redirects; three lists are the account's.
	const pages = zones/50 + 3*zones + 3
	decide := figure{Name: "10,000 routes over 100 zones decided", Against: "a budget of CPU, after the API answered", Unit: "s", Bound: 1, RawUnits: "hostnames"}
	read := figure{Name: "reading them: requests", Against: fmt.Sprintf("the %d pages there are", pages), Unit: "x", Bound: 1.2}
	for range o.rounds {
		requests.Store(0)
		account, err := routes.CollectAccount(ctx, client, time.Now())
		if err != nil {
			return nil, err
		}
		read.Rounds = append(read.Rounds, float64(requests.Load())/pages)
		before := ownCPU()
		hosts := routes.JudgeAccount(account)
		decide.Rounds = append(decide.Rounds, (ownCPU() - before).Seconds())
		decide.keep("hostnames", float64(len(hosts)))
	}
	return []figure{decide, read}, nil
}

// fillAccount makes zones of 100 routes on 10 hostnames each.
func fillAccount(tx *store.Tx, zones int, token string) error {
	if err := tx.Put(store.Tokens, api.HashToken(token), store.Token{ID: "t", Status: "active", Permissions: []string{"*"}}); err != nil {
		return err
	}
	for z := range zones {
		id, name := fmt.Sprintf("%032x", 0xa000+z), fmt.Sprintf("zone%d.test", z)
		if err := tx.Put(store.Zones, id, store.Zone{ID: id, Name: name, Status: "active"}); err != nil {
			return err
		}
		for i := range 100 {
			host := fmt.Sprintf("h%d.%s", i%10, name)
			pattern := fmt.Sprintf("%s/p%d/*", host, i/10)
			if i < 10 {
				pattern = host + "/*"
				record := store.DNSRecord{ID: fmt.Sprintf("%032x", i), ZoneID: id, Type: "A", Name: host, Content: "192.0.2.1", Proxied: true}
				if err := tx.Put(store.DNSRecords, id+"/"+record.ID, record); err != nil {
					return err
				}
			}
			r := store.Route{ID: fmt.Sprintf("%032x", i), ZoneID: id, Pattern: pattern, Script: "gateway"}
			if err := tx.Put(store.Routes, id+"/"+r.ID, r); err != nil {
				return err
			}
		}
	}
	return nil
}
