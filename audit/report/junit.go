package report

import (
	"encoding/xml"
	"strings"
	"unicode/utf8"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/fault"
)

// The elements of JUnit's report, in the form that CI systems read (testmoapp/junitxml describes what they agree on).
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Timestamp  string          `xml:"timestamp,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name      string       `xml:"name,attr"`
		ClassName string       `xml:"classname,attr"`
		Failure   *junitResult `xml:"failure,omitempty"`
		Error     *junitResult `xml:"error,omitempty"`
		Skipped   *junitResult `xml:"skipped,omitempty"`
		Out       string       `xml:"system-out,omitempty"`
	}
	junitResult struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// JUnit is the report as CI systems read test results: what does not hold is a failure, and what is not known is an error, so
// that neither passes.
func (r *Report) JUnit() ([]byte, error) {
	s := junitSuite{Name: "cogctl." + r.Env, Timestamp: r.At.Format("2006-01-02T15:04:05"), Properties: []junitProperty{
		{"hostname", clean(r.Hostname)}, {"contract_sha256", r.Contract}, {"verdict", string(r.Verdict)}, {"todo", clean(r.Todo.What)}, {"tool", clean(r.Tool)},
	}}
	for _, c := range r.Checks {
		s.add(r.Env, c.Name, c.Title, c.Verdict, c.counts(), c.why(), c.Findings, c.File)
	}
	s.add(r.Env, "drift", "what is live is what is declared", r.Drift.Verdict, true, orElse(r.Drift.Because, r.Drift.says()), nil, r.Drift.File)
	if u := r.Unfinished; u != nil {
		s.add(r.Env, "promotion-unfinished", "promotions come to their end", audit.Inconclusive, true, u.Text, []audit.Finding{{Message: u.Text, Hint: u.Hint}}, "")
	}
	for _, g := range r.Gates {
		s.add(r.Env, "gate-"+g.Name, "gate "+g.Name, g.Verdict, g.Verdict == audit.Pass, g.Because, nil, "")
	}
	all := junitSuites{Name: "cogctl report", Tests: s.Tests, Failures: s.Failures, Errors: s.Errors, Skipped: s.Skipped, Suites: []junitSuite{s}}
	raw, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return nil, fault.New(fault.Internal, "write JUnit's report: %w", err)
	}
	return append([]byte(xml.Header), append(raw, '\n')...), nil
}

func (s *junitSuite) add(env, name, title string, v audit.Verdict, counts bool, why string, findings []audit.Finding, file string) {
	c := junitCase{Name: clean(title), ClassName: clean("cogctl." + env + "." + name), Out: clean(file)}
	s.Tests++
	switch {
	case !counts:
		s.Skipped++
		c.Skipped = &junitResult{Message: clean(why)}
	case v == audit.Fail:
		s.Failures++
		c.Failure = &junitResult{Message: clean(why), Type: "fail", Text: clean(lines(findings))}
	case v != audit.Pass:
		s.Errors++
		c.Error = &junitResult{Message: clean(why), Type: "inconclusive"}
	}
	s.Cases = append(s.Cases, c)
}

func lines(findings []audit.Finding) string {
	var b strings.Builder
	for _, f := range findings {
		b.WriteString(strings.TrimSpace(f.URL+" "+f.Message) + "\n")
		if f.Hint != "" {
			b.WriteString("  hint: " + f.Hint + "\n")
		}
	}
	return b.String()
}

// clean leaves out what XML 1.0 cannot hold, which encoding/xml would replace and some parsers refuse.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r < utf8.RuneError || r >= 0x10000 && r <= 0x10FFFF:
			return r
		default:
			return -1
		}
	}, s)
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
