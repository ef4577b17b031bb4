package deploy

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cognomega/edge/internal/fault"
)

// eventsGrace is how long the last events of an engine that failed may take to arrive.
const eventsGrace = 3 * time.Second

// finished waits for the last events, then says how the engine ended. An engine that was interrupted before it wrote any leaves the
// channel open for ever, so after an error the wait has an end; what was collected may then still change and is not read.
func (r *run) finished(doing string, err error, done <-chan struct{}, problems *[]string) error {
	if err == nil {
		<-done
		return nil
	}
	select {
	case <-done:
		return r.engineError(doing, err, *problems)
	case <-time.After(eventsGrace):
		return r.engineError(doing, err, nil)
	}
}

// engineError is the program's own error when it had one, else the engine's first complaint.
func (r *run) engineError(doing string, err error, problems []string) error {
	if own := r.program.err; own != nil && status.Code(own) == codes.Unavailable {
		return fault.New(fault.Unavailable, "%s: the engine ended before the program had: %w", doing, own).
			WithHint("somebody killed it, or this machine was out of memory; run it again: it continues where it stopped")
	} else if own != nil {
		return own
	}
	message := firstLine(err.Error())
	if len(problems) > 0 {
		message = cause(problems)
	}
	message, hint, _ := strings.Cut(message, "\nhint: ")
	if hint == "" && taken.MatchString(message) {
		hint = "it exists and is not this stack's: delete it, rename it, or take it in with `pulumi import`"
	}
	failure := fault.New(complaint(message), "%s: %s", doing, strings.TrimSpace(message))
	if hint != "" {
		return failure.WithHint("%s", hint)
	}
	return failure
}

var (
	apiCode  = regexp.MustCompile(`(?:Cloudflare says |\()(\d{4,6})\b`)
	taken    = regexp.MustCompile(`\b(10014|11009|10004|10020|81057|81058)\b`) // KV title, queue, bucket, route, DNS record
	violated = regexp.MustCompile(`violates plan|resource operations for .* but none were seen|unexpectedly not deleted`)
	checked  = regexp.MustCompile(`has a problem:|is missing a required property|Missing required|missing required`)
)

// complaint says what sort of trouble the engine reports. The engine hands on text alone, so the API's number is read out of it.
func complaint(message string) fault.Kind {
	if violated.MatchString(message) {
		return fault.Drift
	}
	if checked.MatchString(message) {
		return fault.Invalid
	}
	m := apiCode.FindStringSubmatch(message)
	if m == nil {
		return fault.Unavailable
	}
	code, err := strconv.Atoi(m[1])
	if err != nil {
		return fault.Unavailable
	}
	switch code {
	case 10000, 9109, 1000:
		return fault.Denied
	case 10021, 10027, 10057, 10061, 10068, 10070, 10074, 10079, 10099, 11001: // what is wrong with an upload or a consumer
		return fault.Invalid
	case 10022: // a pattern that no URL can match
		return fault.Invalid
	case 10014, 11009, 10004, 10020, 81057, 81058: // the name is taken
		return fault.Conflict
	default:
		return fault.Unavailable
	}
}

func engineFault(doing string, err error) error {
	return fault.New(fault.Unavailable, "%s: %s", doing, firstLine(err.Error())).WithHint("run it again; if it stays, look at the state folder and the Pulumi CLI")
}

// firstLine keeps the part of a CLI's error that says what is wrong.
func firstLine(s string) string {
	for _, line := range strings.Split(colour.ReplaceAllString(s, ""), "\n") {
		if i := strings.Index(line, "error: "); i >= 0 {
			return strings.TrimSpace(line[i+len("error: "):])
		}
	}
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// cause is the first problem that is not the engine's cancelling of what else was under way.
func cause(problems []string) string {
	for _, p := range problems {
		if !strings.Contains(p, "context canceled") {
			return p
		}
	}
	return problems[0]
}
