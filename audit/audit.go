// Package audit holds what every check shares: the target it looks at, its findings, its verdict, and the proof that is kept.
package audit

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

// Target is one environment as a check sees it: from outside, and through the account's API.
type Target struct {
	Env       string
	Hostname  string
	Issuer    string
	Origins   []string     // that browsers may call from
	BaseURL   *url.URL     // of the public hostname, with the port that answers
	HTTP      *http.Client // follows no redirect, so that every answer is judged
	API       *cfapi.Client
	AccountID string
	ZoneName  string
	Contract  *contract.Contract
	Now       func() time.Time

	// Of the money path, where the environment's database and its operator's key are known; nil elsewhere.
	Ledger   Ledger
	AdminKey func() (string, error)
	// Outage stops the ledger's database until the function that it returns is called; nil where that is nobody's to do.
	Outage func(context.Context) (end func(context.Context) error, err error)
	// Doubles are the model providers, where they are doubles that fail on demand; nil elsewhere.
	Doubles Doubles
}

// Doubles are stand-ins for the model providers, as a check uses them.
type Doubles interface {
	// Requests counts what each provider was asked, by model.
	Requests(ctx context.Context) (map[string]map[string]int, error)
	// Fail has every request of a provider meet a fault, instead of what was set before; the zero fault makes it well.
	Fail(ctx context.Context, provider string, f ProviderFault) error
}

// ProviderFault is a way in which a provider goes wrong.
type ProviderFault struct {
	Kind        string
	RetryAfterS int // of a 429
	After       int // events that a stream sends before it goes wrong
}

// Ledger is the environment's ledger as a check reads it.
type Ledger interface {
	// Balance is what an account has in micro-credits; 0 for one that the ledger does not know.
	Balance(ctx context.Context, account string) (int64, error)
	// Posted lists an account's uses, each as often as the journal has it.
	Posted(ctx context.Context, account string) ([]Posting, error)
}

// Posting is one use in the journal.
type Posting struct {
	ID    string
	Micro int64
}

// URL is a public path of the target as it is dialled.
func (t *Target) URL(path string) string { return t.BaseURL.Scheme + "://" + t.BaseURL.Host + path }

// PublicURL is a path under the hostname, with the port when the platform is on this machine: what findings name.
func (t *Target) PublicURL(path string) string {
	if t.BaseURL != nil && t.BaseURL.Hostname() == t.Hostname {
		return "https://" + t.BaseURL.Host + path
	}
	return "https://" + t.Hostname + path
}

// Unreachable is the error of a request that got no answer, saying where it went once and why.
func Unreachable(method, address string, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return fault.New(fault.Unavailable, "%s %s: %w", method, address, err).WithHint("is the platform up? cogctl status")
}

// Severity says what a finding costs.
type Severity string

// The severities, worst first. Only an Error fails a check.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

// Resource is the thing of the account that causes a finding; its ID is accepted by other commands.
type Resource struct {
	Kind string `json:"kind"` // route, custom_domain, dns_record, worker, pages_project, redirect_rule, response
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// Finding is one thing that is not as it should be, with a URL that shows it.
type Finding struct {
	Severity Severity `json:"severity"`
	Code     string   `json:"code"` // stable: "route_shadow"
	Message  string   `json:"message"`
	URL      string   `json:"url,omitempty"` // the witness
	Got      string   `json:"got,omitempty"`
	Want     string   `json:"want,omitempty"`
	Resource Resource `json:"resource"`
	Hint     string   `json:"hint,omitempty"`
	Curl     string   `json:"curl,omitempty"` // the request that shows it, when a URL alone does not
}

// Verdict is the outcome of a check.
type Verdict string

// The verdicts. Inconclusive is not a failure: the check could not see enough to decide.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Inconclusive Verdict = "inconclusive"
)

// Result is what a check found. Evidence holds what it saw, scrubbed of secrets, so that the verdict can be judged again.
type Result struct {
	Verdict  Verdict   `json:"verdict"`
	Summary  string    `json:"summary"`
	Findings []Finding `json:"findings"`
	Evidence any       `json:"evidence,omitempty"`
}

// Conclude makes a result: an Error among the findings fails it.
func Conclude(summary string, findings []Finding, evidence any) Result {
	r := Result{Verdict: Pass, Summary: summary, Findings: findings, Evidence: evidence}
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	for _, f := range findings {
		if f.Severity == Error {
			r.Verdict = Fail
		}
	}
	return r
}

// Undecided makes a result of a check that saw too little.
func Undecided(summary string, evidence any) Result {
	return Result{Verdict: Inconclusive, Summary: summary, Findings: []Finding{}, Evidence: evidence}
}

// Check is one promise that can be looked at. Run returns an error only when it could not look; what it returns otherwise is
// what Judge derives from the evidence.
type Check struct {
	Name  string // names its proof file
	Title string // what holds when it passes
	Form  int    // of the evidence; a check whose evidence changes its form, or its judge its mind, counts on
	Made  string // by which command of cogctl a proof of it is made; {env} stands for where
	Run   func(context.Context, *Target) (Result, error)
	Judge Judge
}

// Prove is the command that makes a proof of a check in an environment.
func (c Check) Prove(env string) string { return "cogctl " + strings.ReplaceAll(c.Made, "{env}", env) }

// Err turns a verdict into what decides the exit code; a pass has none. The kind is bare: the report has said the rest.
func (v Verdict) Err() error {
	switch v {
	case Pass:
		return nil
	case Inconclusive:
		return fault.Inconclusive
	default:
		return fault.Finding
	}
}

// Worst is the verdict of several checks together.
func Worst(verdicts ...Verdict) Verdict {
	worst := Pass
	for _, v := range verdicts {
		if v == Fail {
			return Fail
		}
		if v == Inconclusive {
			worst = Inconclusive
		}
	}
	return worst
}
