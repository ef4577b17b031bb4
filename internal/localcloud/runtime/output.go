package runtime

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// export is one export of a script's main module, as it described itself at start.
type export struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"` // object, entrypoint, durable-object, class
	Handlers []string `json:"handlers"`
}

// spoken keeps what a starting process said on standard error.
type spoken struct {
	mu    sync.Mutex
	lines []string
}

func (s *spoken) add(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lines) < 100 {
		s.lines = append(s.lines, line)
	}
}

// logLine is workerd's structured log line; timestamp is a number in some and a string in others.
type logLine struct {
	Timestamp json.RawMessage
	Level     string
	Message   string
}

func (l logLine) time() time.Time {
	ms, err := strconv.ParseInt(strings.Trim(string(l.Timestamp), `"`), 10, 64)
	if err != nil || ms == 0 { // console lines at top level carry 0: there is no time there
		return time.Now()
	}
	return time.UnixMilli(ms)
}

// hear takes one line of output: a description of exports, a script's console line, or workerd's own words.
func (u *unit) hear(said *spoken, stream, line string) {
	var l logLine
	if json.Unmarshal([]byte(line), &l) != nil || l.Message == "" {
		l = logLine{Level: "info", Message: line}
		if stream == "stderr" {
			l.Level = "error"
		}
	}
	service, text := splitMark(l.Message)
	if rest, ok := strings.CutPrefix(text, describeMark); ok && service != "" {
		u.described(service, rest)
		return
	}
	if service == "" && stream == "stderr" {
		said.add(text)
		service = u.scriptIn(text)
	}
	scripts := []string{service}
	if service == "" {
		scripts = u.members() // workerd did not say: it may be about any of them
	}
	u.logs.add(u.spec.name, scripts, Line{Time: l.time(), Level: l.Level, Stream: stream, Text: text})
}

// splitMark takes the script's name off a console line.
func splitMark(message string) (script, text string) {
	rest, ok := strings.CutPrefix(message, scriptMark)
	if !ok {
		return "", message
	}
	script, text, ok = strings.Cut(rest, scriptMark)
	if !ok {
		return "", message
	}
	return script, strings.TrimPrefix(text, " ")
}

func (u *unit) described(script, text string) {
	var exports []export
	if json.Unmarshal([]byte(text), &exports) != nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.exports[script] = exports
	select {
	case u.told <- struct{}{}:
	default:
	}
}

var serviceLine = regexp.MustCompile(`(?s)^service ([^:]+): (.*)$`)

// scriptIn is the script that a line of workerd's own is about: named outright, or the only one in the process.
func (u *unit) scriptIn(text string) string {
	if m := serviceLine.FindStringSubmatch(text); m != nil {
		return u.scripts[m[1]]
	}
	if len(u.scripts) == 1 {
		for _, script := range u.scripts {
			return script
		}
	}
	return ""
}

func (u *unit) members() []string {
	names := make([]string, 0, len(u.scripts))
	for _, service := range sortedKeys(u.scripts) {
		if u.scripts[service] == service {
			names = append(names, service)
		}
	}
	return names
}

// StartError is a script that does not start, in workerd's words.
type StartError struct {
	Script string // empty when workerd did not say
	Text   string
}

func (e *StartError) Error() string { return e.Text }

// startError makes an error of what a process said before it ended.
func (u *unit) startError(said *spoken, p *process) error {
	said.mu.Lock()
	defer said.mu.Unlock()
	var script string
	var own, others []string
	for _, line := range said.lines {
		m := serviceLine.FindStringSubmatch(line)
		if m == nil || u.scripts[m[1]] == "" {
			others = append(others, line)
			continue
		}
		if script == "" {
			script = u.scripts[m[1]]
		}
		if u.scripts[m[1]] == script {
			// Modules are stored below the script's name; the author knows them without it.
			own = append(own, strings.ReplaceAll(m[2], script+"/", ""))
		}
	}
	switch {
	case script != "":
		return &fault.Error{Kind: fault.Invalid, Err: &StartError{script, strings.Join(own, "\n")}}
	case len(others) > 0:
		text := strings.Join(others, "\n")
		return &fault.Error{Kind: fault.Invalid, Err: &StartError{workerIn(text, u.scripts), text}}
	}
	return fault.New(fault.Unavailable, "workerd ended without a word: %w", errors.Join(p.err, errors.New("while starting")))
}

var workerLine = regexp.MustCompile(`^Worker "([^"]+)"`)

// workerIn finds the script in workerd's other form of blame: Worker "x"'s binding "Y" refers to ….
func workerIn(text string, scripts map[string]string) string {
	if m := workerLine.FindStringSubmatch(text); m != nil {
		return scripts[m[1]]
	}
	return ""
}
