package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/suite"
	"github.com/cognomega/edge/internal/fault"
)

// Todo is the one thing to do next.
type Todo struct {
	What    string `json:"what"`
	Why     string `json:"why"`
	Command string `json:"command,omitempty"`
}

// urgency is the order in which failures are met: nothing behind the hostname can be judged while somebody else answers there.
var urgency = []string{"routes", "jwks", "preflight", "cors", "ai-binding"}

func (r *Report) headline() string {
	failed, open := 0, 0
	for _, v := range r.verdicts() {
		switch v {
		case audit.Fail:
			failed++
		case audit.Inconclusive:
			open++
		}
	}
	switch {
	case r.Unfinished != nil:
		return "A promotion is unfinished"
	case failed > 0 && open > 0:
		return fmt.Sprintf("%s not hold, and %s not decided", does(failed), are(open))
	case failed > 0:
		return does(failed) + " not hold"
	case open > 0:
		return "Nothing is known to be wrong, and " + are(open) + " not decided"
	default:
		return "Everything that is promised holds"
	}
}

func (r *Report) verdicts() []audit.Verdict {
	all := []audit.Verdict{r.Drift.Verdict}
	for _, c := range r.Checks {
		if c.counts() {
			all = append(all, c.Verdict)
		}
	}
	return all
}

func does(n int) string {
	if n == 1 {
		return "1 promise does"
	}
	return fmt.Sprintf("%d promises do", n)
}

func are(n int) string {
	if n == 1 {
		return "1 promise is"
	}
	return fmt.Sprintf("%d promises are", n)
}

// todo is the way out of the worst that was found; then what would make known what is not.
func (r *Report) todo() Todo {
	if u := r.Unfinished; u != nil {
		return Todo{"End what was begun", upperFirst(u.Text) + ". " + upperFirst(u.Hint), ""}
	}
	ordered := slices.Clone(r.Checks)
	slices.SortStableFunc(ordered, func(a, b Check) int { return urgent(a.Name) - urgent(b.Name) })
	for _, c := range ordered {
		if c.Verdict == audit.Fail {
			return c.remedy(r.Env)
		}
	}
	if r.Drift.Verdict == audit.Fail {
		first := r.Drift.Changes[0]
		return Todo{"Put right what differs from what is declared", fmt.Sprintf("%s %s%s", first.Path, was(first.Op), more(len(r.Drift.Changes)-1)), "cogctl preview --refresh --env " + r.Env}
	}
	if i := slices.IndexFunc(r.Unbelieved, func(u Unbelieved) bool { return u.Kind == fault.Denied || u.Kind == fault.Unauthenticated }); i >= 0 && r.Verdict != audit.Pass {
		u := r.Unbelieved[i]
		return Todo{"Find out where " + u.File + " comes from", u.Reason, "cogctl verify proofs/" + u.File}
	}
	return r.learn(ordered)
}

// standing says whether a check is one of those that one command looks at together: the platform stands.
func standing(check string) bool {
	return slices.ContainsFunc(suite.Phase0(), func(c audit.Check) bool { return c.Name == check })
}

// learn is what would make known what is not, by one command where that is possible.
func (r *Report) learn(ordered []Check) Todo {
	var open []Check
	for _, c := range ordered {
		if c.counts() && c.Verdict == audit.Inconclusive {
			open = append(open, c)
		}
	}
	run := "cogctl report --run --env " + r.Env
	phase0 := slices.IndexFunc(open, func(c Check) bool { return standing(c.Name) })
	switch {
	case phase0 >= 0 && r.Drift.Verdict == audit.Inconclusive:
		return Todo{"Look again", open[phase0].Title + ": " + open[phase0].why(), run}
	case phase0 >= 0:
		return Todo{"Look again", open[phase0].Title + ": " + open[phase0].why(), open[phase0].Command}
	case len(open) > 0:
		return Todo{"Measure what has not been decided", open[0].Title + ": " + open[0].why() + more(len(open)-1), open[0].Command}
	case r.Drift.Verdict == audit.Inconclusive:
		return Todo{"Take a snapshot", "whether what is live is what is declared is not known: " + r.Drift.Because, "cogctl env snapshot --env " + r.Env}
	default:
		return Todo{"Nothing", "the oldest evidence counts until " + r.until().Format("2 January 2006 15:04 UTC"), ""}
	}
}

func (c Check) why() string {
	if c.Because != "" {
		return c.Because
	}
	return c.Summary
}

// remedy is the hint of the first thing that is wrong.
func (c Check) remedy(env string) Todo {
	t := Todo{What: "Mend: " + c.Title, Why: c.Summary, Command: c.Command}
	for _, f := range c.Findings {
		if f.Severity != audit.Error {
			continue
		}
		t.Why = f.Message
		if f.URL != "" {
			t.Why = f.URL + ": " + f.Message
		}
		if f.Hint != "" {
			t.What = upperFirst(f.Hint)
		}
		break
	}
	if c.Name == "routes" {
		t.Command = "cogctl audit routes --env " + env
	}
	return t
}

func urgent(name string) int {
	if i := slices.Index(urgency, name); i >= 0 {
		return i
	}
	return len(urgency)
}

func was(op string) string {
	return map[string]string{"added": "is there and nobody declared it", "removed": "is declared and not there", "changed": "is another than declared", "renamed": "has another name"}[op]
}

func more(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n)
}

// until is when the oldest evidence stops counting.
func (r *Report) until() time.Time {
	oldest := r.At
	for _, c := range r.Checks {
		if c.At != nil && c.counts() && c.At.Before(oldest) {
			oldest = *c.At
		}
	}
	if r.Drift.At != nil && r.Drift.At.Before(oldest) {
		oldest = *r.Drift.At
	}
	return oldest.Add(time.Duration(r.MaxAgeS) * time.Second).UTC()
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	r := []rune(s)
	if r[0] >= 'a' && r[0] <= 'z' {
		r[0] -= 'a' - 'A'
	}
	return string(r)
}

// span is a duration in its two largest units.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}
