package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/cognomega/edge/internal/fault"
)

func clientOver(dial dialer) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}}
}

// startUp compares the start of cogctl with that of the least program of the same libraries.
func startUp(ctx context.Context, s *stage, o options) ([]figure, error) {
	bare := filepath.Join(s.dir, "bare")
	build := exec.CommandContext(ctx, "go", "build", "-ldflags", "-s -w", "-o", bare, "./bench/bare")
	build.Dir = s.root
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fault.New(fault.Unavailable, "build the baseline: %w\n%s", err, out)
	}
	absolute := figure{Name: "cogctl version", Against: "a budget", Unit: "ms", Bound: 20, RawUnits: "ms"}
	for range o.rounds {
		// Several starts a round, because one is shorter than a moment's disturbance.
		var ours, theirs []float64
		for range 20 {
			for program, into := range map[string]*[]float64{filepath.Join(s.root, "bin", "cogctl"): &ours, bare: &theirs} {
				took, err := s.run(ctx, program, "version")
				if err != nil {
					return nil, err
				}
				*into = append(*into, ms(took))
			}
		}
		absolute.keep("cogctl", median(ours))
		absolute.keep("bare cobra and lipgloss", median(theirs))
		absolute.Rounds = append(absolute.Rounds, median(ours))
	}
	absolute.Against = fmt.Sprintf("bare cobra + lipgloss: %s ms", number(median(absolute.Raw["bare cobra and lipgloss"])))
	return []figure{absolute}, nil
}

// noOp is an apply that finds nothing to change.
func noOp(ctx context.Context, s *stage, o options) ([]figure, error) {
	f := figure{Name: "cogctl up, nothing to change", Against: "a budget", Unit: "s", Bound: 8}
	for range o.rounds {
		took, err := s.cogctl(ctx, "up")
		if err != nil {
			return nil, err
		}
		f.Rounds = append(f.Rounds, took.Seconds())
	}
	return []figure{f}, nil
}

// warmUp is the way from an empty folder to the table of Phase 0, with everything built.
func warmUp(ctx context.Context, s *stage, o options) ([]figure, error) {
	f := figure{Name: "make up, everything built", Against: "a budget", Unit: "s", Bound: 20}
	for range o.rounds {
		dir, err := os.MkdirTemp("", "cogbench")
		if err != nil {
			return nil, fault.New(fault.Unavailable, "make a folder: %w", err)
		}
		other := &stage{root: s.root, dir: dir}
		took, err := other.run(ctx, "make", "--no-print-directory", "up")
		other.close()
		if err != nil {
			return nil, err
		}
		f.Rounds = append(f.Rounds, took.Seconds())
	}
	return []figure{f}, nil
}

// auditRoutes audits the hostname among ten thousand routes of other Workers.
func auditRoutes(ctx context.Context, s *stage, o options) ([]figure, error) {
	const total = 10_000
	host, err := s.deploy(ctx, "bench-routes", helloCode)
	if err != nil {
		return nil, err
	}
	wanted := make([]map[string]string, total)
	for i := range wanted {
		wanted[i] = map[string]string{"pattern": fmt.Sprintf("%s/p%d/*", host, i), "zone_id": s.endpoints.Zones[0].ID}
	}
	path := "/accounts/" + s.endpoints.AccountID + "/workers/scripts/bench-routes/routes"
	if err := s.callJSON(ctx, http.MethodPut, path, wanted); err != nil {
		return nil, err
	}
	held, err := s.call(ctx, http.MethodGet, "/zones/"+s.endpoints.Zones[0].ID+"/workers/routes", "application/json", nil)
	if err != nil {
		return nil, err
	}
	if n := bytes.Count(held, []byte(`"pattern"`)); n < total {
		return nil, fault.New(fault.Inconclusive, "the account lists %d routes, wanted %d", n, total)
	}
	f := figure{Name: "cogctl audit routes, 10,000 routes", Against: "a budget", Unit: "s", Bound: 2}
	for range o.rounds {
		took, err := s.cogctl(ctx, "audit", "routes")
		if err != nil {
			return nil, err
		}
		f.Rounds = append(f.Rounds, took.Seconds())
	}
	return []figure{f}, nil
}
