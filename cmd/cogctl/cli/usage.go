package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/ledger"
	"github.com/cognomega/edge/internal/term"
)

func newUsage(d *Deps) *cobra.Command {
	return newGroup("usage", "What is being used, as the ledger records it", "  cogctl usage tail\n  cogctl usage tail --account ada@example.com", newUsageTail(d))
}

// tailEvery is how often the journal is asked for what is new.
const tailEvery = time.Second

type tailOptions struct {
	account  string
	last     int
	noFollow bool
}

// UseLine is one use as a program gets it, alone on its line.
type UseLine struct {
	Schema   string          `json:"schema"`
	ID       string          `json:"id"`
	Account  string          `json:"account"`
	Kind     string          `json:"kind"`
	Amount   int64           `json:"amount_micro"`
	Owed     bool            `json:"beyond_floor"`
	Occurred time.Time       `json:"occurred_at"`
	Recorded time.Time       `json:"recorded_at"`
	Meta     json.RawMessage `json:"meta"`
}

func newUsageTail(d *Deps) *cobra.Command {
	var o tailOptions
	cmd := &cobra.Command{
		Use: "tail", Short: "Follow usage as the ledger records it, until Ctrl-C", Args: cobra.NoArgs,
		Long:    "Follow usage as the ledger records it, until Ctrl-C: the last few first, then each once as it comes. With --output json every use is a JSON document on a line of its own.",
		Example: "  cogctl usage tail\n  cogctl usage tail --account ada@example.com -n 100 --no-follow\n  cogctl usage tail -o json | jq -c '[.account, .amount_micro]'",
		RunE:    func(cmd *cobra.Command, _ []string) error { return runUsageTail(cmd.Context(), d, o) },
	}
	cmd.Flags().StringVar(&o.account, "account", "", "of this account alone")
	cmd.Flags().IntVarP(&o.last, "last", "n", 10, "how many of the last to begin with, up to 1000")
	cmd.Flags().BoolVar(&o.noFollow, "no-follow", false, "the last ones alone, then end")
	return cmd
}

func runUsageTail(ctx context.Context, d *Deps, o tailOptions) error {
	if o.last < 0 || o.last > 1000 {
		return fault.New(fault.Invalid, "--last %d is not 0 to 1000", o.last)
	}
	conn, shown, err := d.ledgerSession(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tail, err := ledger.NewTail(ctx, conn, o.account, o.last)
	if err != nil {
		return explainAccount(err)
	}
	if !o.noFollow {
		d.Term.Note(term.DimText("following " + shown + "; Ctrl-C ends it"))
	}
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	for {
		uses, err := tail.Next(ctx)
		if ctx.Err() != nil {
			return nil // Ctrl-C and --timeout are how it ends
		}
		if err != nil {
			return err
		}
		for _, u := range uses {
			if err := d.printUse(u); err != nil {
				return err
			}
		}
		if o.noFollow {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (d *Deps) printUse(u ledger.Use) error {
	if d.Term.Format() == term.JSON {
		var line bytes.Buffer
		enc := json.NewEncoder(&line)
		enc.SetEscapeHTML(false)
		err := enc.Encode(UseLine{"cogctl/usage.tail/v1", u.ID.String(), u.Account, u.Kind, u.Amount, u.Owed, u.Occurred.UTC(), u.Recorded.UTC(), u.Meta})
		if err == nil {
			_, err = d.Term.Out().Write(line.Bytes())
		}
		return written(err)
	}
	note := purpose(ledger.Entry{Meta: u.Meta})
	if u.Owed {
		note = strings.TrimPrefix(note+" · beyond the floor, owed", " · ")
	}
	return d.Term.Print(term.Report{Blocks: []term.Block{term.Line{
		term.DimText(u.Recorded.UTC().Format("15:04:05.000")), term.T(fmt.Sprintf("  %-12s  %s  ", inCredits(u.Amount), u.Account)), term.DimText(note),
	}}})
}

func written(err error) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	return fault.New(fault.Unavailable, "write the result: %w", err)
}
