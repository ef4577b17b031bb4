package cors

import "testing"

func TestAnyTwoValuesMeet(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]axes{"today": {13, 21, 10, 8}, "few paths": {1, 5, 10, 8}, "one of each": {1, 1, 1, 1}, "no paths": {0, 4, 2, 2}, "many": {40, 21, 10, 8}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cells := pairwise(n)
			met := map[pair]bool{}
			for _, c := range cells {
				for _, p := range c.pairs() {
					met[p] = true
				}
			}
			for a := range n {
				for b := a + 1; b < len(n); b++ {
					for i := range n[a] {
						for j := range n[b] {
							if n[0] > 0 && !met[pair{a, i, b, j}] {
								t.Fatalf("value %d of axis %d never meets %d of %d", i, a, j, b)
							}
						}
					}
				}
			}
			if most := n[0]*n[1] + n[2]*n[3]; len(cells) > most {
				t.Errorf("%d cells, want no more than %d", len(cells), most)
			}
		})
	}
}
