package deploy

import "testing"

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
