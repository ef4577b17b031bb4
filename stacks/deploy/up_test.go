package deploy_test

import (
	"testing"

	"github.com/cognomega/edge/stacks/deploy"
)

func TestUpTwiceChangesNothingTheSecondTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.must(deploy.Up)
	if n := first.summary()["create"]; n < 14 {
		first.dump()
		t.Fatalf("first up created %d resources", n)
	}
	writes := w.writes.count()
	second := w.must(deploy.Up)
	if got := second.planned(); len(got) > 0 {
		second.dump()
		t.Errorf("second up plans %q", got)
	}
	if n := w.writes.count() - writes; n != 0 {
		t.Errorf("second up made %d writes", n)
	}
	if changes := second.summary(); len(changes) != 1 || changes["same"] == 0 {
		t.Errorf("second up: %v", changes)
	}
	t.Logf("first %d ms, second %d ms", first.of("summary")[0].DurationMS, second.of("summary")[0].DurationMS)
}
