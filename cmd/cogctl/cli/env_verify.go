package cli

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/audit/snapshot"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

type snapshotList struct {
	Snapshots []snapshot.Entry `json:"snapshots"`
}

func newEnvVerify(d *Deps) *cobra.Command {
	return &cobra.Command{
		Use: "verify <file>...", Short: "Check that snapshots are whole and say what they said when they were taken", Args: cobra.MinimumNArgs(1),
		Long: "Check, without a network, that snapshots are whole and that their content is what their digest says. The digest guards against accidents, not against people: " +
			"whoever changes a file can change its digest too, and the time is not in it, so that the same state has the same digest at any time.\n\n" +
			"Exit codes: 0 all are whole; 1 one was changed; 2 one is no snapshot, or was not written to its end.",
		Example: "  cogctl env verify snapshots/*.json",
		RunE: func(_ *cobra.Command, files []string) error {
			result := runEnvVerify(d, files)
			if err := d.Term.Print(term.Report{Schema: "cogctl/env.verify/v1", Data: result, Blocks: result.blocks("")}); err != nil {
				return err
			}
			return result.err()
		},
	}
}

func runEnvVerify(d *Deps, files []string) *snapshotList {
	result := &snapshotList{}
	for _, file := range files {
		raw, err := d.read(file)
		if err != nil {
			result.Snapshots = append(result.Snapshots, snapshot.Entry{File: file, Problem: err.Error(), Err: err})
			continue
		}
		result.Snapshots = append(result.Snapshots, snapshot.Describe(file, raw))
	}
	return result
}

// err is the worst of all files: not a snapshot, then changed. The kind is bare: the report has said the rest.
func (l *snapshotList) err() error {
	var worst error
	for _, s := range l.Snapshots {
		switch {
		case s.Err == nil:
		case errors.Is(s.Err, fault.Finding):
			worst = fault.Finding
		default:
			return fault.Invalid
		}
	}
	return worst
}

func (l *snapshotList) blocks(empty string) []term.Block {
	rows := term.Rows{Columns: []string{"", "snapshot", "environment", "taken", "holds", "digest"}, Empty: empty}
	var hints []term.Block
	for _, s := range l.Snapshots {
		if s.Err != nil {
			rows.Rows = append(rows.Rows, append([]term.Text{term.Sign(term.Fail)}, term.Row(s.File, "", "", s.Problem, "")...))
			if hint := fault.HintOf(s.Err); hint != "" {
				hints = append(hints, term.Hint(hint))
			}
			continue
		}
		what := holds(s.Holds)
		if s.Unseen > 0 {
			what += "; " + counted(s.Unseen, "section") + " not seen"
		}
		rows.Rows = append(rows.Rows, append([]term.Text{term.Sign(term.Pass)}, term.Row(s.File, s.Env, s.At.Format(time.RFC3339), what, s.Digest[:min(len(s.Digest), len("sha256:")+12)])...))
	}
	return append([]term.Block{rows}, hints...)
}
