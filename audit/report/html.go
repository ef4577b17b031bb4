package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/fault"
)

//go:embed page.html.tmpl
var pageText string

//go:embed style.css
var style string

// What of long lists a page shows.
const (
	mostFindings = 20
	mostChanges  = 40
	mostValue    = 120
)

// page is the report with what its page needs beside it.
type page struct {
	R            *Report
	CSP          string
	Style        template.CSS
	Sign         string
	MaxAge       string
	Charts       charts
	Unmeasured   []Objective
	Findings     []audit.Finding
	FindingsLeft int
	Changes      []change
	ChangesLeft  int
	DriftSays    string
	Holds        string
	ContractHead string
}

type charts struct {
	Routes, CORS, Keys *pair
	Latency            []latency
}

type latency struct {
	Objective Objective
	Pair      *pair
}

// change is a difference with its values as texts.
type change struct{ Path, Op, Was, Is string }

// HTML is the whole page: it needs nothing beside itself and asks for nothing.
func (r *Report) HTML() ([]byte, error) {
	t, err := template.New("page").Funcs(template.FuncMap{"stamp": stampAny, "ago": ago, "sign": sign, "num": num}).Parse(pageText)
	if err != nil {
		return nil, fault.New(fault.Internal, "read the page's template: %w", err)
	}
	digest := sha256.Sum256([]byte(style))
	p := page{
		R: r, Style: template.CSS(style), Sign: sign(r.Verdict), MaxAge: span(time.Duration(r.MaxAgeS) * time.Second), //nolint:gosec // our own file
		CSP:       "default-src 'none'; img-src data:; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'; base-uri 'none'; form-action 'none'",
		Charts:    charts{Routes: routeChart(r.Routes), CORS: matrixChart(r.CORS), Keys: keyChart(r.Keys)},
		DriftSays: r.Drift.says(), Holds: r.Drift.holds(), ContractHead: r.Contract[:min(12, len(r.Contract))],
	}
	if r.MaxAgeS == 0 {
		p.MaxAge = "ever"
	}
	for _, o := range r.Objectives {
		if pair := latencyChart(o); pair != nil {
			p.Charts.Latency = append(p.Charts.Latency, latency{o, pair})
		} else {
			p.Unmeasured = append(p.Unmeasured, o)
		}
	}
	p.Findings, p.FindingsLeft = r.findings(mostFindings)
	p.Changes, p.ChangesLeft = r.Drift.texts(mostChanges)
	var out bytes.Buffer
	if err := t.Execute(&out, p); err != nil {
		return nil, fault.New(fault.Internal, "write the page: %w", err)
	}
	return append(bytes.TrimSpace(out.Bytes()), '\n'), nil
}

func sign(v audit.Verdict) string {
	switch v {
	case audit.Pass:
		return "✓"
	case audit.Fail:
		return "✗"
	default:
		return "?"
	}
}

// stampAny takes a time or a pointer to one, as templates have them.
func stampAny(v any) string {
	switch t := v.(type) {
	case time.Time:
		return stamp(t)
	case *time.Time:
		return stamp(*t)
	default:
		return ""
	}
}

func ago(seconds float64) string {
	d := time.Duration(seconds) * time.Second
	if d < 0 {
		return "in " + span(-d)
	}
	return span(d) + " ago"
}

// findings are what failed checks found, the first few.
func (r *Report) findings(most int) (some []audit.Finding, left int) {
	var all []audit.Finding
	for _, c := range r.Checks {
		if c.State != Unjudged {
			all = append(all, c.Findings...)
		}
	}
	n := min(most, len(all))
	return all[:n], len(all) - n
}

func (d Drift) says() string {
	switch {
	case d.At == nil:
		return "no evidence"
	case len(d.Changes) > 0:
		return counted(len(d.Changes), "difference", "differences")
	default:
		return "nothing differs"
	}
}

// holds says how much of what the snapshot holds.
func (d Drift) holds() string {
	names := strings.NewReplacer("_", " ", "kv ", "KV ", "r2 ", "R2 ", "dns", "DNS records")
	var parts []string
	for _, section := range slices.Sorted(maps.Keys(d.Holds)) {
		if n := d.Holds[section]; n > 0 {
			word := names.Replace(section)
			if n == 1 {
				word = strings.TrimSuffix(word, "s")
			}
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		}
	}
	return strings.Join(parts, ", ")
}

func (d Drift) texts(most int) (some []change, left int) {
	n := min(most, len(d.Changes))
	for _, c := range d.Changes[:n] {
		some = append(some, change{c.Path, c.Op, valueText(c.Was), valueText(c.Is)})
	}
	return some, len(d.Changes) - n
}

// valueText is a value as people read it.
func valueText(v any) string {
	if v == nil {
		return ""
	}
	text, isText := v.(string)
	if !isText {
		raw, err := json.Marshal(v)
		if err != nil {
			return err.Error()
		}
		text = string(raw)
	}
	if runes := []rune(text); len(runes) > mostValue {
		return string(runes[:mostValue]) + " …"
	}
	return text
}
