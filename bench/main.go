// Command bench measures what the platform promises of its own speed, as ratios against a baseline of the same run.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

// options are what a run can be asked for.
type options struct {
	rounds   int
	requests int
	only     *regexp.Regexp
}

// scenario measures figures that share a preparation.
type scenario struct {
	name string
	run  func(ctx context.Context, s *stage, o options) ([]figure, error)
}

func scenarios() []scenario {
	return []scenario{
		{"idle", idle}, {"gateway", gateway}, {"credits", onLedger(credits)}, {"fallback", onLedger(fallback)}, {"writer", onLedger(writer)}, {"files", files}, {"limiter", limiter}, {"models", onLedger(models)}, {"edge", edgeCost}, {"websocket", webSocket},
		{"version", startUp}, {"noop", noOp}, {"up", warmUp}, {"audit", auditRoutes}, {"account", auditAccount}, {"cors", corsMatrix}, {"snapshot", takeSnapshot},
		{"help", showHelp}, {"generator", loadGenerator}, {"verify", verifyProof},
		{"journal", onLedger(journal)}, // last: it fills the database
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	t := term.System(os.Getenv)
	err := benchmark(ctx, t)
	stop()
	if err != nil {
		t.Error(err)
	}
	os.Exit(fault.ExitCode(err))
}

func benchmark(ctx context.Context, t *term.Term) error {
	o := options{}
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of each measurement")
	flag.IntVar(&o.requests, "requests", 4000, "requests a round")
	only := flag.String("only", "", "run the scenarios whose name matches this expression")
	flag.Parse()
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return fault.New(fault.Invalid, "-only: %w", err)
	}
	layout, err := platform.FindLayout(".", "")
	if err != nil {
		return err
	}
	s, err := newStage(ctx, layout.Root)
	if err != nil {
		return err
	}
	defer s.close()
	all, failed := measure(ctx, t, s, o)
	return errors.Join(report(t, layout.Root, all), failed)
}

// measure runs every scenario that is asked for; one that fails takes no figure of the others away.
func measure(ctx context.Context, t *term.Term, s *stage, o options) (all []summary, failed error) {
	for _, sc := range scenarios() {
		if !o.only.MatchString(sc.name) {
			continue
		}
		p := t.Progress("measuring " + sc.name)
		figures, err := sc.run(ctx, s, o)
		p.Stop()
		if err != nil {
			failed = errors.Join(failed, fault.New(fault.KindOf(err), "scenario %s: %w", sc.name, err))
			continue
		}
		for _, f := range figures {
			all = append(all, summarise(f))
		}
	}
	return all, failed
}

// results is the file that keeps a run, with what the figures depend on.
type results struct {
	At      time.Time `json:"at"`
	OS      string    `json:"os"`
	CPUs    int       `json:"cpus"`
	Load    string    `json:"load_average,omitempty"`
	Figures []summary `json:"figures"`
}

func report(t *term.Term, root string, all []summary) error {
	load, _ := os.ReadFile("/proc/loadavg") // absent where there is no /proc
	r := results{At: time.Now().UTC(), OS: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(), Load: string(load), Figures: all}
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fault.New(fault.Internal, "encode results: %w", err)
	}
	dir := filepath.Join(root, "bench", "results")
	file := filepath.Join(dir, r.At.Format("20060102T150405Z")+".json")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fault.New(fault.Unavailable, "make %s: %w", dir, err)
	}
	if err := os.WriteFile(file, append(raw, '\n'), 0o644); err != nil {
		return fault.New(fault.Unavailable, "keep results: %w", err)
	}
	rows := term.Rows{Columns: []string{"figure", "median", "bound", "", "rounds", "against"}}
	for _, s := range all {
		rows.Rows = append(rows.Rows, s.row())
	}
	if err := t.Print(term.Report{Schema: "cogctl/bench/v1", Data: r, Blocks: []term.Block{rows}}); err != nil {
		return err
	}
	t.Note(term.T("raw numbers: " + file))
	return nil
}
