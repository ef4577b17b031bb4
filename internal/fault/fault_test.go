package fault_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/cognomega/edge/internal/fault"
)

func TestKindReachesThroughWrapping(t *testing.T) {
	t.Parallel()
	cause := &fault.Error{Kind: fault.NotFound, Msg: "zone a.test", Hint: "create it", Err: io.EOF}
	err := fmt.Errorf("read routes: %w", cause)
	if !errors.Is(err, fault.NotFound) || !errors.Is(err, io.EOF) || errors.Is(err, fault.Conflict) {
		t.Fatalf("kinds of %v are wrong", err)
	}
	if got := err.Error(); got != "read routes: zone a.test: EOF" {
		t.Errorf("message %q", got)
	}
	if got := fault.HintOf(err); got != "create it" {
		t.Errorf("hint %q", got)
	}
}

func TestNewKeepsTheCause(t *testing.T) {
	t.Parallel()
	err := fault.New(fault.Unavailable, "dial edge: %w", io.ErrUnexpectedEOF)
	if !errors.Is(err, io.ErrUnexpectedEOF) || err.Error() != "dial edge: unexpected EOF" {
		t.Fatalf("got %v", err)
	}
	if plain := fault.New(fault.Invalid, "no %s", "name"); plain.Error() != "no name" || plain.Err != nil {
		t.Fatalf("got %#v", plain)
	}
}

func TestHintSkipsErrorsWithoutOne(t *testing.T) {
	t.Parallel()
	err := &fault.Error{Kind: fault.Invalid, Msg: "outer", Err: &fault.Error{Kind: fault.NotFound, Msg: "inner", Hint: "look left"}}
	if got := fault.HintOf(err); got != "look left" {
		t.Fatalf("hint %q", got)
	}
	if fault.KindOf(err) != fault.Invalid {
		t.Fatalf("the outermost kind decides, got %q", fault.KindOf(err))
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	tests := map[fault.Kind]struct{ exit, status int }{
		fault.Invalid: {2, 400}, fault.Unauthenticated: {3, 401}, fault.Denied: {3, 403}, fault.NotFound: {3, 404},
		fault.Conflict: {3, 409}, fault.TooLarge: {3, 413}, fault.Unavailable: {3, 503}, fault.Finding: {1, 500},
		fault.Inconclusive: {4, 500}, fault.Refused: {5, 403}, fault.Drift: {1, 409}, fault.Unsupported: {2, 501},
		fault.Internal: {70, 500},
	}
	for kind, want := range tests {
		if got := fault.ExitCode(kind); got != want.exit {
			t.Errorf("exit code of %s is %d, want %d", kind, got, want.exit)
		}
		if got := fault.HTTPStatus(kind); got != want.status {
			t.Errorf("status of %s is %d, want %d", kind, got, want.status)
		}
	}
	if fault.ExitCode(nil) != 0 || fault.HTTPStatus(nil) != 200 || fault.ExitCode(io.EOF) != 70 {
		t.Error("nil or an error without a kind is mapped wrongly")
	}
}
