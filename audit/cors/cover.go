package cors

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cognomega/edge/contract"
)

// Coverage says of one class of answer how it was provoked, and whether an allowed and a foreign origin have both seen it.
type Coverage struct {
	Status  string `json:"status"`
	How     string `json:"how"`
	Asked   int    `json:"asked"`   // requests that were to provoke it
	Allowed int    `json:"allowed"` // answers that allowed origins got
	Foreign int    `json:"foreign"` // answers that all others got
	Covered bool   `json:"covered"`
	Why     string `json:"why,omitempty"` // it is not covered
}

// wanted is a class of answer, and the probes that provoke it; without probes it is only ever met by chance.
type wanted struct {
	from, to int
	probes   []string
	how, why string
}

const hammering = "it would take hammering the platform: not provoked; --break does, on this machine"

var wanteds = []wanted{
	{200, 203, []string{probeRead}, "GET and HEAD of every path that is read", ""},
	{204, 204, []string{probePreflight, probeOptions}, "OPTIONS of every path", ""},
	{401, 401, []string{probeToken}, "GET with a token that is none", "no path that is read looks at tokens"},
	{403, 403, []string{probeIdentity}, "GET that claims another's email", "no path that is read looks at identities"},
	{404, 404, []string{probePath}, "GET and OPTIONS of paths there are not", ""},
	{405, 405, []string{probeMethod}, "GET where only POST is, PROPFIND elsewhere", ""},
	{413, 413, []string{probeBody, probeChunked}, "POST of a body over the limit that is not JSON", "no path takes small bodies from everybody"},
	{414, 414, []string{probeURL}, "GET of a URL over the limit", "no path is read"},
	{429, 429, nil, "", hammering},
	{500, 599, nil, "", "it would take breaking a service: not provoked; --break does, on this machine"},
}

func (w wanted) name() string {
	switch {
	case w.from == w.to:
		return strconv.Itoa(w.from)
	case w.to-w.from >= 99:
		return strconv.Itoa(w.from/100) + "xx"
	default:
		return fmt.Sprintf("%d-%d", w.from, w.to)
	}
}

// Cover derives from the answers which classes of them were seen.
func Cover(exchanges []Exchange) []Coverage {
	var all []Coverage
	for _, w := range wanteds {
		c := Coverage{Status: w.name(), How: w.how}
		otherwise := map[int]bool{}
		for _, x := range exchanges {
			asked, met := slices.Contains(w.probes, x.Probe), x.Status >= w.from && x.Status <= w.to
			switch {
			case met && x.Allowed:
				c.Allowed++
			case met:
				c.Foreign++
			case asked:
				otherwise[x.Status] = true
			}
			if asked {
				c.Asked++
			}
		}
		c.Covered = c.Allowed > 0 && c.Foreign > 0
		if !c.Covered {
			c.Why = w.missing(c, otherwise)
		}
		all = append(all, c)
	}
	return all
}

func (w wanted) missing(c Coverage, otherwise map[int]bool) string {
	if c.Asked == 0 && c.Allowed+c.Foreign > 0 {
		return "met by chance, and not from both sides"
	}
	if c.Asked == 0 {
		return w.why
	}
	return fmt.Sprintf("asked %d times, answered %s", c.Asked, statuses(otherwise))
}

func statuses(seen map[int]bool) string {
	var names []string
	for _, s := range slices.Sorted(maps.Keys(seen)) {
		names = append(names, strconv.Itoa(s))
	}
	return strings.Join(names, ", ")
}

func covered(all []Coverage, is bool) string {
	var names []string
	for _, c := range all {
		if c.Covered == is {
			names = append(names, c.Status)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// Group is what was seen of one path of the contract under all its names, or of the paths that it does not have.
type Group struct {
	Path     string      `json:"path"`
	Aliases  []string    `json:"aliases"`
	Requests int         `json:"requests"`
	Allowed  int         `json:"allowed"` // requests from allowed origins
	Foreign  int         `json:"foreign"`
	Statuses map[int]int `json:"statuses"`
	Faults   int         `json:"faulty_answers"`
}

// Groups sums the answers up by path, the contract's first and in order.
func Groups(c *contract.Contract, exchanges []Exchange) []Group {
	byPath := map[string]*Group{}
	for _, own := range slices.Sorted(maps.Keys(c.HTTP.Paths)) {
		byPath[own] = &Group{Path: own, Aliases: append([]string{}, c.HTTP.Paths[own].Aliases...), Statuses: map[int]int{}}
	}
	byPath[nowhereGroup] = &Group{Path: nowhereGroup, Aliases: []string{}, Statuses: map[int]int{}}
	owners := owners(c)
	for _, x := range exchanges {
		owner, ok := owners[x.Path]
		if !ok {
			owner = nowhereGroup
		}
		byPath[owner].count(x, len(judge(c.HTTP.CORS, x)) > 0)
	}
	groups := []Group{}
	for _, path := range append(slices.Sorted(maps.Keys(c.HTTP.Paths)), nowhereGroup) {
		groups = append(groups, *byPath[path])
	}
	return groups
}

func owners(c *contract.Contract) map[string]string {
	owners := map[string]string{}
	for own, p := range c.HTTP.Paths {
		for _, name := range p.All(own) {
			owners[name] = own
		}
	}
	return owners
}

func (g *Group) count(x Exchange, faulty bool) {
	g.Requests++
	g.Statuses[x.Status]++
	if x.Allowed {
		g.Allowed++
	} else {
		g.Foreign++
	}
	if faulty {
		g.Faults++
	}
}
