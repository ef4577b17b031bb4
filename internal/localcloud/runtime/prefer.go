package runtime

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// Prefer is what a request says of the version that should serve it: one of the deployment by its id, or the one that its key falls to.
type Prefer struct {
	Version, Key string
}

// choose finds the route of a request: the version that is asked for when the deployment has it, else the key's, else one by the shares.
func choose(routes []route, p Prefer) route {
	if len(routes) == 1 {
		return routes[0]
	}
	if at := slices.IndexFunc(routes, func(rt route) bool { return rt.version == p.Version }); at >= 0 {
		return routes[at]
	}
	at := rand.Float64()
	if p.Key != "" {
		at = place(p.Key)
	}
	// Newest first: a key that fell to the newer version stays with it while that version's share grows.
	newest := slices.SortedStableFunc(slices.Values(routes), func(a, b route) int { return cmp.Compare(b.number, a.number) })
	total := 0.0
	for _, rt := range newest {
		total += rt.share
	}
	at *= total
	for _, rt := range newest {
		if at -= rt.share; at < 0 {
			return rt
		}
	}
	return routes[0]
}

// place is where a key falls, from 0 to below 1: the same here and in js/split.js.
func place(key string) float64 {
	h := uint32(2166136261) // FNV-1a, and the end of MurmurHash3, which spreads short keys
	for _, b := range []byte(key) {
		h = (h ^ uint32(b)) * 16777619
	}
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return float64(h^h>>16) / (1 << 32)
}
