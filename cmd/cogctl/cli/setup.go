package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/platform"
	"github.com/cognomega/edge/internal/term"
)

// layout is where this checkout keeps things.
func (d *Deps) layout() (platform.Layout, error) { return platform.FindLayout(d.WorkDir, d.LocalDir) }

type setupResult struct {
	Steps []setupStep `json:"steps"`
}

type setupStep struct {
	Name   string `json:"name"`
	Detail string `json:"detail,omitempty"`
	Lacks  string `json:"lacks,omitempty"` // what is not there, and why; nothing but that depends on it
	Absent bool   `json:"absent,omitempty"`
	Cached bool   `json:"cached"`
	TookMS int64  `json:"took_ms"`
}

func newSetup(d *Deps) *cobra.Command {
	var quiet bool
	cmd := &cobra.Command{
		Use: "setup", Short: "Install and build what the platform needs on this machine", Args: cobra.NoArgs,
		Example: "  cogctl setup          # says beforehand what will take minutes, and why",
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := runSetup(cmd.Context(), d, !quiet)
			if err != nil {
				return err
			}
			if quiet && d.Term.Format() == term.Table {
				fmt.Fprintln(d.Term.Err(), setupLine(result))
				for _, lack := range lacks(result) {
					fmt.Fprintln(d.Term.Err(), "setup   "+lack)
				}
				return nil
			}
			return d.Term.Print(term.Report{Schema: "cogctl/setup/v1", Data: result, Blocks: []term.Block{setupFacts(result)}})
		},
	}
	cmd.Flags().BoolVar(&quiet, "quiet", false, "one line, on stderr")
	return cmd
}

func runSetup(ctx context.Context, d *Deps, again bool) (setupResult, error) {
	l, err := d.layout()
	if err != nil {
		return setupResult{}, err
	}
	result := setupResult{Steps: []setupStep{}}
	var progress *term.Progress
	stop := func() {
		if progress != nil {
			progress.Stop()
			progress = nil
		}
	}
	defer stop()
	err = platform.Setup(ctx, l, platform.SetupReport{
		Again: again,
		Begin: func(s platform.SetupStep) {
			fmt.Fprintf(d.Term.Err(), "setup   %s %s: %s\n", s.Name, s.Detail, s.Expects)
			progress = d.Term.Progress("setup   " + s.Name)
		},
		Move: func(s platform.SetupStep, done int) {
			if progress != nil {
				progress.Set(fmt.Sprintf("setup   %s: %d packages compiled", s.Name, done), 0, 0)
			}
		},
		End: func(s platform.SetupStep) {
			stop()
			result.Steps = append(result.Steps, setupStep{Name: s.Name, Detail: s.Detail, Lacks: s.Missing + s.Without, Absent: s.Missing != "", Cached: s.Cached, TookMS: s.Took.Milliseconds()})
		},
	})
	return result, err
}

// setupLine is the whole set-up in one line: go 1.26.0 ✓  node 20.1.0 ✓ …
func setupLine(r setupResult) string {
	line := "setup "
	for _, s := range r.Steps {
		if s.Absent {
			continue
		}
		line += "  " + s.words() + " ✓"
	}
	return line
}

// lacks are the things that this machine does without, each with the reason.
func lacks(r setupResult) []string {
	var lines []string
	for _, s := range r.Steps {
		if s.Lacks != "" {
			lines = append(lines, s.Name+": "+s.Lacks)
		}
	}
	return lines
}

func setupFacts(r setupResult) term.Facts {
	facts := make(term.Facts, 0, len(r.Steps))
	for _, s := range r.Steps {
		value := "✓ " + s.Detail
		if s.TookMS > 0 && !s.Cached {
			value += " (" + (time.Duration(s.TookMS) * time.Millisecond).Round(time.Second).String() + ")"
		}
		text := term.Text{Text: value, Tone: term.Good}
		if s.Lacks != "" {
			text = term.Text{Text: value + "  " + s.Lacks, Tone: term.Warn}
		}
		if s.Absent {
			text.Text = s.Lacks
		}
		facts = append(facts, term.Fact{Name: s.Name, Value: text})
	}
	return facts
}

func (s setupStep) words() string {
	if s.Detail == "" {
		return s.Name
	}
	return s.Name + " " + s.Detail
}
