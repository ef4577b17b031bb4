package localcloud

import "testing"

// Memory is given back once after work, however little of it was ever collected, and not between two questions of one who asks one at a time.
func TestMemoryIsGivenBackOnceAfterWork(t *testing.T) {
	t.Parallel()
	var a allocations
	for i, step := range []struct {
		allocated   uint64
		busy, worth bool
	}{
		{3 << 20, true, false},
		{6 << 20, true, false},
		{6<<20 + 100<<10, false, true},
		{6<<20 + 200<<10, false, false},
		{9 << 20, true, false},
		{9<<20 + 1, false, false}, // too little since the last time
		{11 << 20, true, false},
		{11<<20 + 1, false, true},
	} {
		if busy, worth := a.look(step.allocated); busy != step.busy || worth != step.worth {
			t.Errorf("look %d: busy %v, worth it %v, want %v and %v", i, busy, worth, step.busy, step.worth)
		}
	}
}
