package money

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

// Credits says that GET /api/credits shows KV's copy, and that the copy is the ledger's balance soon after a write.
func Credits() audit.Check {
	return audit.Check{Name: "credits", Title: "credits come from KV and equal the ledger", Run: runCredits, Judge: audit.Rejudge(judgeCredits)}
}

// CreditsEvidence is one write, and what each place says of it afterwards. Amounts are micro-credits.
type CreditsEvidence struct {
	URL          string    `json:"url"`
	At           time.Time `json:"at"`
	Account      string    `json:"account"`
	Given        int64     `json:"given"`
	AdjustStatus int       `json:"adjust_status"`
	Ledger       int64     `json:"ledger"`
	KV           *int64    `json:"kv"`        // null: no copy, or one that cannot be read
	Shown        *int64    `json:"shown"`     // by GET /api/credits
	AgreedMS     int64     `json:"agreed_ms"` // after the write; the last look when they do not agree
	Planted      int64     `json:"planted"`   // a balance that KV alone was told, for a moment
	PlantShown   *int64    `json:"plant_shown"`
}

const (
	given   = 7_654_321
	planted = 1_234_567
)

func runCredits(ctx context.Context, t *audit.Target) (audit.Result, error) {
	_, promise, err := bound(t, contract.FlowAgree)
	if err != nil {
		return audit.Result{}, err
	}
	v, err := arrive(ctx, t)
	if err != nil {
		return audit.Result{}, err
	}
	e := CreditsEvidence{URL: t.PublicURL(creditsPath), At: t.Now().UTC().Truncate(time.Second), Account: v.email, Given: given, Planted: planted}
	a, err := v.ask(ctx, http.MethodPost, adjustPath, v.operator(v.email), map[string]any{"email": v.email, "delta": float64(given) / 1e6, "reason": "proof"})
	if err != nil {
		return audit.Result{}, err
	}
	e.AdjustStatus = a.status
	if a.status == http.StatusOK {
		err = v.watch(ctx, &e, time.Duration(promise.MaxS)*time.Second)
	}
	if err == nil && e.agree() {
		err = v.plant(ctx, &e)
	}
	if err != nil {
		return audit.Result{}, err
	}
	return judgeCredits(t, e)
}

func (e CreditsEvidence) agree() bool {
	return e.KV != nil && e.Shown != nil && *e.KV == e.Ledger && *e.Shown == e.Ledger && e.Ledger == e.Given
}

// watch looks until all three say the same, or the time that the contract gives is over.
func (v visitor) watch(ctx context.Context, e *CreditsEvidence, within time.Duration) error {
	for start := time.Now(); ; {
		var err error
		if e.Ledger, err = v.t.Ledger.Balance(ctx, v.email); err != nil {
			return err
		}
		if e.KV, _, err = v.copied(ctx); err != nil {
			return err
		}
		if e.Shown, err = v.shown(ctx); err != nil {
			return err
		}
		e.AgreedMS = time.Since(start).Milliseconds()
		if e.agree() || time.Since(start) > within {
			return nil
		}
		if err := pauseFor(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// plant tells KV alone another balance, sees it shown, and puts the right one back.
func (v visitor) plant(ctx context.Context, e *CreditsEvidence) error {
	_, raw, err := v.copied(ctx)
	if err != nil {
		return err
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		return fault.New(fault.Finding, "the copy of %s in KV is no JSON object", v.email)
	}
	doc["balance_credits"] = float64(planted) / 1e6
	other, err := json.Marshal(doc)
	if err != nil {
		return fault.New(fault.Internal, "encode a balance: %w", err)
	}
	namespace, key, err := v.place(ctx)
	if err != nil {
		return err
	}
	if err := v.t.API.KVPut(ctx, namespace, key, other); err != nil {
		return err
	}
	defer func() { _ = v.t.API.KVPut(context.WithoutCancel(ctx), namespace, key, raw) }() // the reconciler would, in half a minute
	e.PlantShown, err = v.shown(ctx)
	return err
}

func (v visitor) place(ctx context.Context) (namespace, key string, err error) {
	_, promise, err := bound(v.t, contract.FlowAgree)
	if err != nil {
		return "", "", err
	}
	n, err := v.t.API.NamespaceByTitle(ctx, v.t.Contract.Stores[promise.Store].Name)
	if err != nil {
		return "", "", err
	}
	key, err = v.t.Contract.Key("balance", map[string]string{"email": v.email})
	return n.ID, key, err
}

// copied is what KV has; nil when that is nothing, or nothing that can be read.
func (v visitor) copied(ctx context.Context) (*int64, []byte, error) {
	namespace, key, err := v.place(ctx)
	if err != nil {
		return nil, nil, err
	}
	raw, err := v.t.API.KVGet(ctx, namespace, key)
	if errors.Is(err, fault.NotFound) {
		return nil, nil, nil
	}
	return micro(raw), raw, err
}

// shown is what the public path answers; nil for an answer that is no balance.
func (v visitor) shown(ctx context.Context) (*int64, error) {
	a, err := v.ask(ctx, http.MethodGet, creditsPath, v.own(), nil)
	if err != nil || a.status != http.StatusOK {
		return nil, err
	}
	return micro(a.body), nil
}

// micro reads balance_credits as whole micro-credits.
func micro(raw []byte) *int64 {
	var doc struct {
		Credits *float64 `json:"balance_credits"`
	}
	if json.Unmarshal(raw, &doc) != nil || doc.Credits == nil {
		return nil
	}
	n := int64(math.Round(*doc.Credits * 1e6))
	return &n
}

func judgeCredits(t *audit.Target, e CreditsEvidence) (audit.Result, error) {
	if want := t.PublicURL(creditsPath); e.URL != want {
		return audit.Result{}, audit.Misfit("it is of %s, not of %s", e.URL, want)
	}
	if err := t.Recent(e.At); err != nil {
		return audit.Result{}, err
	}
	id, promise, err := bound(t, contract.FlowAgree)
	if err != nil {
		return audit.Result{}, err
	}
	var found []audit.Finding
	switch {
	case e.AdjustStatus != http.StatusOK:
		found = append(found, finding("adjust_refused", t.PublicURL(adjustPath), fmt.Sprint(e.AdjustStatus), "200", "an operator could not give credits"))
	case !e.agree() || e.AgreedMS > int64(promise.MaxS)*1000:
		found = append(found, finding("credits_differ", e.URL, fmt.Sprintf("ledger %d, KV %s, shown %s after %d ms", e.Ledger, text(e.KV), text(e.Shown), e.AgreedMS),
			fmt.Sprintf("%d everywhere within %d s (%s)", e.Given, promise.MaxS, id), "the ledger, KV and the API disagree after a write"))
	case e.PlantShown == nil || *e.PlantShown != e.Planted:
		found = append(found, finding("credits_not_from_kv", e.URL, text(e.PlantShown), fmt.Sprint(e.Planted), "what KV alone was told is not shown: the balance is read from elsewhere"))
	}
	return audit.Conclude(fmt.Sprintf("%d micro-credits in the ledger, KV and GET %s %d ms after the write", e.Ledger, creditsPath, e.AgreedMS), found, e), nil
}

func text(n *int64) string {
	if n == nil {
		return "nothing"
	}
	return fmt.Sprint(*n)
}
