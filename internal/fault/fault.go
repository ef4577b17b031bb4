// Package fault is the one error type of the toolkit: a kind that decides exit codes and HTTP statuses, what was being done, and a way out.
package fault

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Kind says what sort of trouble an error is; it is itself an error, so errors.Is(err, fault.NotFound) works through any wrapping.
type Kind string

// The kinds. Each maps to one exit code and one HTTP status, in the tables below.
const (
	Invalid         Kind = "invalid"         // the caller's input cannot be used
	Unauthenticated Kind = "unauthenticated" // no identity, or one that does not verify
	Denied          Kind = "denied"          // the identity may not do this
	NotFound        Kind = "not_found"       // the named thing does not exist
	Conflict        Kind = "conflict"        // the thing exists already, or is in use
	TooLarge        Kind = "too_large"       // over a documented limit
	Unavailable     Kind = "unavailable"     // a network, an API or a process did not answer
	Finding         Kind = "finding"         // a check ran and did not hold
	Inconclusive    Kind = "inconclusive"    // a check ran and could not decide
	Refused         Kind = "refused"         // a policy forbids it
	Drift           Kind = "drift"           // declared and live disagree
	Unsupported     Kind = "unsupported"     // understood, and not offered here
	Internal        Kind = "internal"        // a defect of this program
)

func (k Kind) Error() string { return strings.ReplaceAll(string(k), "_", " ") }

// Error carries a kind, what was being done or found, a hint that a person can act on, and the cause.
type Error struct {
	Kind Kind
	Msg  string
	Hint string
	Err  error
}

func (e *Error) Error() string {
	switch {
	case e.Err == nil:
		return e.Msg
	case e.Msg == "":
		return e.Err.Error()
	default:
		return e.Msg + ": " + e.Err.Error()
	}
}

// Unwrap exposes the kind and the cause to errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// New makes an Error of a kind with a formatted message; %w in the format is kept as the cause.
func New(kind Kind, format string, args ...any) *Error {
	wrapped := fmt.Errorf(format, args...)
	if errors.Unwrap(wrapped) != nil {
		return &Error{Kind: kind, Err: wrapped}
	}
	return &Error{Kind: kind, Msg: wrapped.Error()}
}

// WithHint returns a copy of e that carries the hint.
func (e *Error) WithHint(format string, args ...any) *Error {
	hinted := *e
	hinted.Hint = fmt.Sprintf(format, args...)
	return &hinted
}

// KindOf is the outermost kind in err's chain; an error without one is Internal, and nil has none.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	var k Kind
	if errors.As(err, &k) {
		return k
	}
	return Internal
}

// HintOf is the first hint in err's chain, outermost first.
func HintOf(err error) string {
	var e *Error
	for errors.As(err, &e) {
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}

// Exit codes of cogctl, documented in its help.
const (
	ExitOK           = 0
	ExitFinding      = 1
	ExitUsage        = 2
	ExitAPI          = 3
	ExitInconclusive = 4
	ExitRefused      = 5
	ExitDefect       = 70 // EX_SOFTWARE of sysexits.h
)

// ExitCode is the process exit code for err.
func ExitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	switch KindOf(err) {
	case Finding, Drift:
		return ExitFinding
	case Invalid, Unsupported:
		return ExitUsage
	case Inconclusive:
		return ExitInconclusive
	case Refused:
		return ExitRefused
	case Internal:
		return ExitDefect
	default:
		return ExitAPI
	}
}

// HTTPStatus is the response status for err (RFC 9110, section 15).
func HTTPStatus(err error) int {
	switch KindOf(err) {
	case "":
		return http.StatusOK
	case Invalid:
		return http.StatusBadRequest
	case Unauthenticated:
		return http.StatusUnauthorized
	case Denied, Refused:
		return http.StatusForbidden
	case NotFound:
		return http.StatusNotFound
	case Conflict, Drift:
		return http.StatusConflict
	case TooLarge:
		return http.StatusRequestEntityTooLarge
	case Unsupported:
		return http.StatusNotImplemented
	case Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}
