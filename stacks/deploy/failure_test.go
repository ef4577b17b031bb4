package deploy

import (
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/cognomega/edge/internal/fault"
)

func TestAnEngineThatIsKilledIsNoDefectOfOurs(t *testing.T) {
	t.Parallel()
	lost := fmt.Errorf("register the zone: %w", status.Error(codes.Unavailable, "error reading from server: EOF"))
	for _, own := range []error{lost, nil} {
		r := &run{program: &prepared{err: own}}
		if err := r.engineError("apply", errors.New("signal: killed"), nil); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("the engine was killed, and the program says %v: %v", own, err)
		}
	}
	r := &run{program: &prepared{err: fault.New(fault.Invalid, "no token")}}
	if err := r.engineError("apply", errors.New("exit status 1"), nil); fault.KindOf(err) != fault.Invalid {
		t.Errorf("the program's own error is lost: %v", err)
	}
}

// The channel of an engine that was interrupted early is never closed.
func TestAFailedEngineIsNotWaitedForWithoutEnd(t *testing.T) {
	t.Parallel()
	r := &run{program: &prepared{}}
	if err := r.finished("preview", errors.New("killed"), make(chan struct{}), nil); err == nil {
		t.Error("the failure is lost")
	}
}

func TestTheCauseIsNotWhatWasCancelledBecauseOfIt(t *testing.T) {
	t.Parallel()
	const consequence = "look up zone a.test: rpc error: code = Canceled desc = context canceled"
	for want, problems := range map[string][]string{
		"no token":  {consequence, "no token", "another"},
		"the first": {"the first", consequence},
		consequence: {consequence},
	} {
		if got := cause(problems); got != want {
			t.Errorf("of %q the cause is %q, want %q", problems, got, want)
		}
	}
}
