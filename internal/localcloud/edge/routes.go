package edge

import (
	"cmp"
	"slices"
)

// route is a pattern with its owner; an empty script is a null route.
type route struct {
	Pattern
	id     string
	script string
}

// routeIndex answers which route of one zone owns a URL. It is immutable once built.
type routeIndex struct {
	ranked []*route          // best first
	hosts  radix[hostRoutes] // by hostname, read backwards
}

// hostRoutes are the path tries of one host text, with and without a leading wildcard.
type hostRoutes struct {
	exact, wild *radix[pathRoutes]
}

// pathRoutes are ranks, best first, of the routes of one path text, by scheme (0 http, 1 https).
type pathRoutes struct {
	exact, prefix [2][]int
}

// match is the route that owns a URL, and the next one when Cloudflare's formula does not tell them apart.
type match struct {
	route *route
	tie   *route
}

func buildRoutes(routes []route) *routeIndex {
	x := &routeIndex{ranked: make([]*route, len(routes))}
	for i := range routes {
		x.ranked[i] = &routes[i]
	}
	slices.SortFunc(x.ranked, byRank)
	for rank := range x.ranked {
		x.add(rank)
	}
	return x
}

// byRank orders by specificity, then as miniflare does by the longer text. Cloudflare documents nothing for the second
// step; the rest only makes the order total.
func byRank(a, b *route) int {
	return cmp.Or(
		cmp.Compare(b.specificity, a.specificity),
		cmp.Compare(len(b.text), len(a.text)),
		cmp.Compare(a.text, b.text),
		cmp.Compare(a.id, b.id),
	)
}

func (x *routeIndex) add(rank int) {
	r := x.ranked[rank]
	host := x.hosts.at(reverse(r.host))
	paths := &host.exact
	if r.anyPrefix {
		paths = &host.wild
	}
	if *paths == nil {
		*paths = new(radix[pathRoutes])
	}
	slot := (*paths).at(r.path)
	ranks := &slot.exact
	if r.anySuffix {
		ranks = &slot.prefix
	}
	for scheme, name := range []string{"http", "https"} {
		if r.scheme == "" || r.scheme == name {
			ranks[scheme] = append(ranks[scheme], rank)
		}
	}
}

// find is the owner of a URL; the zero match when no pattern matches. host is lower case, without port.
func (x *routeIndex) find(https bool, host, target string) match {
	scheme := 0
	if https {
		scheme = 1
	}
	best := podium{-1, -1}
	onPath := func(p *pathRoutes, whole bool) {
		best.take(p.prefix[scheme])
		if whole {
			best.take(p.exact[scheme])
		}
	}
	x.hosts.walk(reverse(host), func(h *hostRoutes, whole bool) {
		if h.wild != nil {
			h.wild.walk(target, onPath)
		}
		if whole && h.exact != nil {
			h.exact.walk(target, onPath)
		}
	})
	return x.decide(best)
}

func (x *routeIndex) decide(p podium) match {
	if p.first < 0 {
		return match{}
	}
	m := match{route: x.ranked[p.first]}
	if p.second >= 0 {
		next := x.ranked[p.second]
		if next.specificity == m.route.specificity && next.script != m.route.script {
			m.tie = next
		}
	}
	return m
}

// podium keeps the two best ranks seen; -1 is none.
type podium struct{ first, second int }

func (p *podium) take(ranks []int) {
	for _, rank := range ranks[:min(2, len(ranks))] {
		switch {
		case p.first < 0 || rank < p.first:
			p.first, p.second = rank, p.first
		case p.second < 0 || rank < p.second:
			p.second = rank
		}
	}
}

func reverse(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}
