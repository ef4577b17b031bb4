package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/rotation"
	"github.com/cognomega/edge/internal/term"
)

type revokeOptions struct{ all, yes, dryRun bool }

// revokeResult is a revocation with what was promised and what was measured.
type revokeResult struct {
	Env           string   `json:"env"`
	KID           string   `json:"kid"`
	Role          string   `json:"role"` // signs, next, leaving or foreign
	DryRun        bool     `json:"dry_run"`
	WorstMS       int64    `json:"worst_case_exposure_ms"`
	GatewayMS     int64    `json:"worst_case_gateway_ms"`
	Measured      bool     `json:"measured"`
	MeasuredMS    int64    `json:"measured_exposure_ms,omitempty"`
	StillAccepted bool     `json:"still_accepted"`
	Steps         []string `json:"steps"`
	*rotation.Status
}

func newJWKSRevoke(d *Deps) *cobra.Command {
	var o revokeOptions
	cmd := &cobra.Command{
		Use: "revoke [kid]", Short: "Take a key away now: the emergency", Args: cobra.MaximumNArgs(1), ValidArgsFunction: d.completePublished,
		Long: "Take a key out of the key set now, without waiting for what it signed: every token of it is refused as soon as the readers notice. It says first how long that takes at worst, " +
			"and then asks the gateway with a token of that key until it is refused.\n\n" +
			"A key that signs is replaced in the same minute; until readers have the new one, they refuse fresh tokens too. It can be run again, or resumed.\n\n" +
			"With --all every key is replaced by a new one, whatever the rotation's document says: the way out when that is lost.\n\n" +
			"A key that an earlier version named with a - in front is written after --.",
		Example: "  cogctl jwks revoke LFeukUTmIkg4ho10JCfGZ9BpMZIjo9CPudCh_QI6_rQ --env production",
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == o.all {
				return fault.New(fault.Invalid, "name one key, or --all").WithHint("cogctl jwks list")
			}
			kid := allKeys
			if !o.all {
				kid = args[0]
			}
			result, waits, err := runJWKSRevoke(cmd.Context(), d, kid, o)
			if err != nil {
				return err
			}
			if err := d.Term.Print(revokeReport(result, waits)); err != nil {
				return err
			}
			if result.StillAccepted {
				return fault.Finding
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&o.all, "all", false, "replace every key, without looking at the rotation's document")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what it would do and how long the key would live on, and write nothing")
	return cmd
}

// allKeys stands for every key, in words that a person types to confirm.
const allKeys = "every key"

func runJWKSRevoke(ctx context.Context, d *Deps, kid string, o revokeOptions) (*revokeResult, rotation.Waits, error) {
	r, log, err := d.rotator(ctx, waitOptions{})
	if err != nil {
		return nil, rotation.Waits{}, err
	}
	defer log.stop()
	w := r.Waits()
	role := "all"
	if !o.all {
		if role, err = r.Role(ctx, kid); err != nil {
			return nil, w, err
		}
	}
	result := &revokeResult{
		Env: d.Env, KID: kid, Role: role, DryRun: o.dryRun, WorstMS: w.Forget.Total().Milliseconds(), GatewayMS: w.Gateway.Total().Milliseconds(), Steps: []string{},
	}
	if o.dryRun {
		if result.Status, err = r.Status(ctx); o.all && errors.Is(err, fault.Drift) {
			result.Status, err = &rotation.Status{}, nil // the document is lost, which is what --all is for
		}
		return result, w, err
	}
	fmt.Fprintln(d.Term.Err(), "! "+exposureText(kid, w))
	if !o.yes {
		if err := d.Term.Confirm("every token that "+kidText(kid)+" signed becomes invalid", kid); err != nil {
			return nil, w, err
		}
	}
	return result, w, revokeAndMeasure(ctx, r, kid, result)
}

func revokeAndMeasure(ctx context.Context, r *rotation.Rotator, kid string, result *revokeResult) error {
	var rev *rotation.Revocation
	var err error
	if result.Role == "all" {
		rev, err = r.RevokeAll(ctx)
	} else {
		rev, err = r.Revoke(ctx, kid)
	}
	if err != nil {
		return err
	}
	took, measured, err := r.Measure(ctx, rev)
	if err != nil {
		return err
	}
	result.Steps, result.Measured, result.MeasuredMS = rev.Steps, measured, took.Milliseconds()
	result.StillAccepted = rev.Token != nil && !measured
	result.Status, err = r.Status(ctx)
	return err
}

func revokeReport(r *revokeResult, w rotation.Waits) term.Report {
	report := term.Report{Schema: "cogctl/jwks.revoke/v1", Data: r}
	worst := term.Fact{Name: "worst case", Value: term.T(exposureText(r.KID, w))}
	switch {
	case r.DryRun:
		report.Blocks = []term.Block{
			term.Line{term.T(fmt.Sprintf("would revoke %s (%s); nothing was written", r.KID, r.Role))}, term.Facts{worst}, heldRows(r.Status),
		}
		return report
	case r.StillAccepted:
		report.Blocks = []term.Block{term.Headline(term.Fail, kidText(r.KID)+" is out of the key set, and the gateway still accepts what it signed")}
	default:
		report.Blocks = []term.Block{term.Headline(term.Pass, kidText(r.KID)+" is revoked")}
	}
	measured := "not measured: no token of this key could be had"
	if r.Measured {
		measured = "the gateway refused it after " + (time.Duration(r.MeasuredMS) * time.Millisecond).Round(100*time.Millisecond).String()
	}
	report.Blocks = append(report.Blocks, term.Facts{worst, {Name: "measured", Value: term.T(measured)}}, heldRows(r.Status))
	if r.StillAccepted {
		report.Blocks = append(report.Blocks, term.Hint("cogctl jwks verify --env "+r.Env+"; is the gateway that answers the one of this contract? cogctl audit routes"))
	}
	return report
}
