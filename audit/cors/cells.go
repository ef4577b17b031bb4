package cors

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/contract"
)

// Cell is what one path of the contract answered to one kind of origin, under all its names.
type Cell struct {
	Answers int `json:"answers"`
	Faulty  int `json:"faulty_answers"`
}

// Grid is the answers by path and kind of origin, the contract's paths in order and allowed origins first.
type Grid struct {
	Paths []string `json:"paths"`
	Kinds []string `json:"origin_kinds"`
	Cells [][]Cell `json:"cells"` // by path, then kind
}

// Kinds of origin that only the short check has no name for.
const (
	kindAllowed   = "allowed"
	kindLookalike = "look-alike"
)

// GridOf arranges answers for people to look at.
func GridOf(c *contract.Contract, exchanges []Exchange) Grid {
	type at struct{ path, kind string }
	cells, kindSeen, unknown := map[at]Cell{}, map[string]bool{}, false
	owners := owners(c)
	for _, x := range exchanges {
		path, ok := owners[x.Path]
		if !ok {
			path, unknown = nowhereGroup, true
		}
		k := kindOf(x)
		kindSeen[k] = true
		cell := cells[at{path, k}]
		cell.Answers++
		if len(judge(c.HTTP.CORS, x)) > 0 {
			cell.Faulty++
		}
		cells[at{path, k}] = cell
	}
	g := Grid{Paths: slices.Sorted(maps.Keys(c.HTTP.Paths)), Kinds: inOrder(kindSeen)}
	if unknown {
		g.Paths = append(g.Paths, nowhereGroup)
	}
	for _, path := range g.Paths {
		row := make([]Cell, len(g.Kinds))
		for i, k := range g.Kinds {
			row[i] = cells[at{path, k}]
		}
		g.Cells = append(g.Cells, row)
	}
	return g
}

func kindOf(x Exchange) string {
	switch {
	case x.Kind != "":
		return x.Kind
	case x.Allowed:
		return kindAllowed
	case x.Origin == "null":
		return x.Origin
	case x.Origin == stranger:
		return "foreign"
	default:
		return kindLookalike
	}
}

// inOrder puts allowed origins first, then strangers, then those that look like somebody else's.
func inOrder(seen map[string]bool) []string {
	first := []string{kindAllowed, "foreign", "null", "absent"}
	rank := func(k string) int {
		if i := slices.Index(first, k); i >= 0 {
			return i
		}
		return len(first)
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

// Recall reads the answers of a proof that was verified, of the check or of the matrix.
func Recall(raw []byte) ([]Exchange, error) {
	var e struct {
		Exchanges []Exchange `json:"exchanges"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, audit.Misfit("it cannot be read: %v", err)
	}
	return e.Exchanges, nil
}
