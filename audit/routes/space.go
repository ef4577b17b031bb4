package routes

import (
	"slices"
	"strings"
)

// Route is a Worker route of a zone; an empty script takes URLs away from less specific routes.
type Route struct {
	ID      string `json:"id"`
	Pattern string `json:"pattern"`
	Script  string `json:"script"`
}

// alphabet is every character that a path or query may hold (RFC 3986), likeliest first, so that witnesses read well.
const alphabet = "xyzabcdefghijklmnopqrstuvwABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/!$&'()*+,;=:@?%"

// region is a set of URLs of one host and scheme for which the same routes match: a boundary text alone, or everything that
// begins with it and with no longer boundary. Regions are disjoint, and together they are every URL.
type region struct {
	scheme   string
	boundary string
	exact    bool
	witness  string // one text of the region
	parent   int    // index of the region around it: the rest of the next shorter boundary; -1 at the top
	winners  []int  // routes that match with the highest specificity; more than one is a tie
}

// parsed is a route with its pattern read.
type parsed struct {
	Route
	pattern
	index int
}

// boundary is a text at which the set of matching routes can change.
type boundary struct {
	text     string
	prefixes []int // positions in the host's routes: patterns that match it and all that begins with it
	exacts   []int // patterns that match it alone
}

// partition splits the URLs of a host and scheme into regions. Every pattern is a prefix or a single text, so the routes that
// match can only change at the patterns' own texts: between two of them nothing is left to chance, and nothing is sampled.
func partition(all []parsed, scheme, host, letters string) []region {
	var here []parsed
	for _, r := range all {
		if r.coversHost(scheme, host) {
			here = append(here, r)
		}
	}
	bounds := boundaries(here)
	known := make(map[string]bool, len(bounds))
	for _, b := range bounds {
		known[b.text] = true
	}
	var (
		regions []region
		around  []frame // the boundaries that are prefixes of the current one, shortest first
	)
	for _, b := range bounds {
		for len(around) > 0 && !strings.HasPrefix(b.text, around[len(around)-1].text) {
			around = around[:len(around)-1]
		}
		var outer []int
		parent := -1
		if len(around) > 0 {
			outer, parent = around[len(around)-1].best, around[len(around)-1].rest
		}
		best := most(here, outer, b.prefixes)
		rest := parent
		if witness, ok := beyond(b.text, known, letters); ok {
			rest = len(regions)
			regions = append(regions, region{scheme, b.text, false, witness, parent, indexes(here, best)})
		}
		regions = append(regions, region{scheme, b.text, true, b.text, rest, indexes(here, most(here, best, b.exacts))})
		around = append(around, frame{b.text, best, rest})
	}
	return regions
}

// frame is a boundary on the way down, with the most specific of all prefix patterns so far.
type frame struct {
	text string
	best []int
	rest int
}

// boundaries lists the texts of the patterns, sorted, so that a text comes after its prefixes. The root is always one.
func boundaries(here []parsed) []boundary {
	at := map[string]*boundary{"/": {text: "/"}}
	for i, r := range here {
		b := at[r.path]
		if b == nil {
			b = &boundary{text: r.path}
			at[r.path] = b
		}
		if r.anyTail {
			b.prefixes = append(b.prefixes, i)
		} else {
			b.exacts = append(b.exacts, i)
		}
	}
	sorted := make([]boundary, 0, len(at))
	for _, b := range at {
		sorted = append(sorted, *b)
	}
	slices.SortFunc(sorted, func(a, b boundary) int { return strings.Compare(a.text, b.text) })
	return sorted
}

// most keeps those of two lists with the highest specificity.
func most(here []parsed, a, b []int) []int {
	var best []int
	for _, list := range [][]int{a, b} {
		for _, i := range list {
			switch {
			case len(best) == 0 || here[i].score > here[best[0]].score:
				best = []int{i}
			case here[i].score == here[best[0]].score:
				best = append(best, i)
			}
		}
	}
	return best
}

func indexes(here []parsed, positions []int) []int {
	out := make([]int, len(positions))
	for i, p := range positions {
		out[i] = here[p].index
	}
	slices.Sort(out)
	return out
}

// beyond finds a text that begins with a boundary and with no longer one. If every next character leads to a boundary there
// is none: anything longer begins with one of those.
func beyond(text string, known map[string]bool, letters string) (string, bool) {
	for _, c := range letters {
		next := text + string(c)
		if known[next] {
			continue
		}
		if c == '%' {
			next += "41" // a lone % is no URL
		}
		return next, true
	}
	return "", false
}

// locate finds the region a text is in.
func locate(regions map[key]int, text string) (int, bool) {
	if i, ok := regions[key{text, true}]; ok {
		return i, true
	}
	for end := len(text); end > 0; end-- {
		if i, ok := regions[key{text[:end], false}]; ok {
			return i, true
		}
	}
	return 0, false
}

type key struct {
	boundary string
	exact    bool
}
