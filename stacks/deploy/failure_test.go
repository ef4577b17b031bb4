package deploy

import (
	"errors"
	"testing"
)

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
