package cli

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/term"
)

const providersDoor = "/api/admin/providers"

func newProviders(d *Deps) *cobra.Command {
	return newGroup("providers", "The model providers: who is left alone and why, and an operator's word on it",
		"  cogctl providers status\n  cogctl providers trip groq --for 1h --reason \"their status page says so\"",
		newProvidersStatus(d), newProvidersTrip(d), newProvidersReset(d), newProvidersOrder(d))
}

// operatorWord is who changed something, why, and when.
type operatorWord struct {
	By   string `json:"by"`
	Why  string `json:"why"`
	AtMS int64  `json:"at"`
}

type providerModel struct {
	Provider   string `json:"provider"`
	Model      string `json:"model"`
	Configured bool   `json:"configured"`
	State      string `json:"state"` // closed, open, half-open or tripped
	Reason     string `json:"reason,omitempty"`
	Attempts   int    `json:"attempts"` // in the window, by the isolate that answered
	Failures   int    `json:"failures"`
	OpenUntil  int64  `json:"open_until_ms"`
	Opened     int    `json:"times_opened"`
	Changed    int64  `json:"changed_ms"`
	Looked     int64  `json:"looked_ms"`
	Hold       *struct {
		operatorWord
		Until int64 `json:"until"`
	} `json:"hold"`
}

func (m providerModel) name() string { return m.Provider + ":" + m.Model }

type providerTier struct {
	Tier     string         `json:"tier"`
	Order    []modelName    `json:"order"`
	Sees     []modelName    `json:"sees"`  // in order too, of questions with images; none where the tier takes none
	Hears    []modelName    `json:"hears"` // in order, of audio; none where the tier takes none
	Contract []modelName    `json:"contract"`
	Override *providerOrder `json:"override"`
}

type modelName struct {
	Provider string `json:"provider"`
	Model    string `json:"model"`
}

type providerOrder struct {
	operatorWord
	Providers []string `json:"providers"`
}

type providerOperation struct {
	operatorWord
	Action string   `json:"action"`
	What   []string `json:"what"`
}

// providersResult is how things are, after what was done.
type providersResult struct {
	Env        string              `json:"env"`
	DryRun     bool                `json:"dry_run"`
	Done       []string            `json:"done"`
	NowMS      int64               `json:"now_ms"`
	BoundS     int                 `json:"bound_s"` // within which every isolate knows what one of them says here
	Models     []providerModel     `json:"models"`
	Tiers      []providerTier      `json:"tiers"`
	Operations []providerOperation `json:"operations"`
}

func newProvidersStatus(d *Deps) *cobra.Command {
	var keyFile string
	cmd := &cobra.Command{
		Use: "status", Short: "Show every model's breaker, the order of each tier, and what operators did", Args: cobra.NoArgs,
		Long: "Show every model's breaker, the order of each tier, and what operators did lately. One isolate of the Worker answers, after it has looked what the others wrote: what they have seen since may be " +
			"missing for as long as the bound that is shown, KV's visibility and the time between two looks. Exit 1 when a tier has no model left that may be asked, or none that sees its images, or none that hears its audio.",
		Example: "  cogctl providers status\n  cogctl providers status --env production -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := d.providers(cmd.Context(), keyFile, nil)
			if err != nil {
				return err
			}
			if err := printProviders(d, r); err != nil {
				return err
			}
			if len(r.dark()) > 0 {
				return fault.Finding
			}
			return nil
		},
	}
	keyFileFlag(cmd, &keyFile)
	return cmd
}

func keyFileFlag(cmd *cobra.Command, keyFile *string) {
	cmd.Flags().StringVar(keyFile, "admin-key-file", "", "file that holds the admin key (default: COGCTL_ADMIN_KEY; on this machine it is known)")
	must(cmd.MarkFlagFilename("admin-key-file"))
}

// providers asks the operator's door: how things are, or after something is done.
func (d *Deps) providers(ctx context.Context, keyFile string, change map[string]any) (*providersResult, error) {
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return nil, err
	}
	c, err := d.Contract()
	if err != nil {
		return nil, err
	}
	r := &providersResult{Env: d.Env, Done: []string{}, BoundS: c.Auth.JWKS.KVVisibilityMaxS + c.Models.Breaker.PollS}
	q := adminRequest{doing: "ask for the providers", method: http.MethodGet, path: providersDoor}
	if change != nil {
		q = adminRequest{doing: fmt.Sprint(change["action"], " providers"), method: http.MethodPost, path: providersDoor, body: change}
	}
	err = d.adminCall(ctx, t, keyFile, q, r)
	slices.SortStableFunc(r.Models, func(a, b providerModel) int { return strings.Compare(a.name(), b.name()) })
	return r, err
}

// dark are the tiers none of whose models may be asked now, or none of those that see, or that hear.
func (r *providersResult) dark() []string {
	lit := map[string]bool{}
	for _, m := range r.Models {
		lit[m.name()] = m.Configured && (m.State == "closed" || m.State == "half-open")
	}
	var dark []string
	for _, t := range r.Tiers {
		asked := func(m modelName) bool { return lit[m.Provider+":"+m.Model] }
		if !slices.ContainsFunc(t.Order, asked) {
			dark = append(dark, t.Tier)
			continue
		}
		if len(t.Sees) > 0 && !slices.ContainsFunc(t.Sees, asked) {
			dark = append(dark, t.Tier+" for images")
		}
		if len(t.Hears) > 0 && !slices.ContainsFunc(t.Hears, asked) {
			dark = append(dark, t.Tier+" for audio")
		}
	}
	return dark
}

func printProviders(d *Deps, r *providersResult) error {
	return d.Term.Print(term.Report{Schema: "cogctl/providers/v1", Data: r, Blocks: r.blocks()})
}

func (r *providersResult) blocks() []term.Block {
	return []term.Block{r.headline(), r.modelRows(), r.tierRows(), r.operationRows(), term.Line{term.DimText(
		fmt.Sprintf("as one isolate has it, which has just looked; the others agree with it within %d s", r.BoundS))}}
}

func (r *providersResult) headline() term.Block {
	switch {
	case r.DryRun:
		return term.Line{term.T("Nothing was changed. It would be: " + strings.Join(r.Done, "; "))}
	case len(r.Done) > 0:
		return term.Headline(term.Pass, fmt.Sprintf("done at once here, and everywhere within %d s: %s", r.BoundS, strings.Join(r.Done, "; ")))
	}
	alone := 0
	for _, m := range r.Models {
		if m.State == "open" || m.State == "tripped" {
			alone++
		}
	}
	switch dark := r.dark(); {
	case len(dark) > 0:
		return term.Headline(term.Fail, "no model may be asked of tier "+strings.Join(dark, ", "))
	case alone > 0:
		return term.Headline(term.Warning, fmt.Sprintf("%d of %d models are left alone; every tier has another", alone, len(r.Models)))
	}
	return term.Headline(term.Pass, fmt.Sprintf("all %d models are asked", len(r.Models)))
}

func (r *providersResult) modelRows() term.Rows {
	rows := term.Rows{Columns: []string{"provider", "model", "breaker", "until", "because", "since"}}
	for _, m := range r.Models {
		state, until, why := term.Text{Text: "✓ " + m.State, Tone: term.Good}, "-", orDash(m.Reason)
		switch {
		case !m.Configured:
			state, why = term.DimText("passed over"), "no key in this environment"
		case m.State == "tripped":
			state, until, why = term.Text{Text: "✗ tripped", Tone: term.Bad}, r.in(m.Hold.Until), m.Hold.By+": "+m.Hold.Why
		case m.State == "open":
			state, until = term.Text{Text: "✗ open", Tone: term.Bad}, r.in(m.OpenUntil)
		case m.State == "half-open":
			state, until = term.Text{Text: "! half-open", Tone: term.Warn}, "the next request's answer"
		case m.Failures > 0:
			why = fmt.Sprintf("%d of %d failed lately", m.Failures, m.Attempts)
		}
		since := "-"
		if m.Changed > 0 {
			since = r.ago(m.Changed)
		}
		rows.Rows = append(rows.Rows, []term.Text{term.T(m.Provider), term.T(m.Model), state, term.T(until), term.T(why), term.T(since)})
	}
	return rows
}

func (r *providersResult) tierRows() term.Rows {
	rows := term.Rows{Columns: []string{"tier", "asks in this order", "about images", "to hear audio", "says"}}
	for _, t := range r.Tiers {
		says := term.DimText("the contract")
		if t.Override != nil {
			says = term.T(fmt.Sprintf("%s %s: %s", t.Override.By, r.ago(t.Override.AtMS), t.Override.Why))
		}
		rows.Rows = append(rows.Rows, []term.Text{term.T(t.Tier), term.T(providerList(t.Order)), term.T(providerList(t.Sees)), term.T(providerList(t.Hears)), says})
	}
	return rows
}

func providerList(models []modelName) string {
	names := make([]string, len(models))
	for i, m := range models {
		names[i] = m.Provider
	}
	return orDash(strings.Join(names, ", "))
}

// shownOperations is how many of the last operations people are shown; the JSON has more.
const shownOperations = 5

func (r *providersResult) operationRows() term.Block {
	if len(r.Operations) == 0 {
		return term.Line{term.DimText("no operator has changed anything")}
	}
	rows := term.Rows{Columns: []string{"last changes", "by", "what", "because"}}
	for _, o := range r.Operations[:min(shownOperations, len(r.Operations))] {
		rows.Rows = append(rows.Rows, []term.Text{term.T(r.ago(o.AtMS)), term.T(o.By), term.T(o.Action + " " + strings.Join(o.What, ", ")), term.T(o.Why)})
	}
	return rows
}

func (r *providersResult) in(ms int64) string {
	return "in " + (time.Duration(ms-r.NowMS) * time.Millisecond).Round(time.Second).String()
}

func (r *providersResult) ago(ms int64) string {
	return (time.Duration(r.NowMS-ms) * time.Millisecond).Round(time.Second).String() + " ago"
}
