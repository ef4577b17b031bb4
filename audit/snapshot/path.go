package snapshot

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cognomega/edge/internal/fault"
)

// place is where in a snapshot the differ is: the keys that lead there, and the same as people read it.
type place struct {
	keys []string
	path string
}

func (p place) under(key string) place {
	return place{append(slices.Clip(p.keys), key), under(p.path, key)}
}

func (p place) index(i int) place {
	at := "[" + strconv.Itoa(i) + "]"
	return place{append(slices.Clip(p.keys), at), p.path + at}
}

// field is the innermost key.
func (p place) field() string { return p.keys[len(p.keys)-1] }

// holdsNames is true for objects whose keys are what people call things, and not fields.
func (p place) holdsNames() bool {
	k := p.keys
	switch {
	case len(k) == 1, len(k) == 2 && k[0] == secDNS:
		return true
	case len(k) == 3 && k[0] == secWorkers:
		return k[2] == "bindings" || k[2] == "durable_objects"
	default:
		return len(k) == 3 && (k[0] == secQueues && k[2] == "consumers" || k[0] == secBuckets && k[2] == "lifecycle")
	}
}

// isValue is true inside a JSON variable, where no field has a meaning to us.
func (p place) isValue() bool {
	return len(p.keys) > 4 && p.keys[0] == secWorkers && p.keys[2] == "bindings" && p.keys[4] == "json"
}

// ofDatabase is true for where a Hyperdrive configuration finds its database.
func (p place) ofDatabase() bool {
	return len(p.keys) > 3 && p.keys[0] == secHyperdrives && p.keys[2] == "origin"
}

// bare are the keys that a path holds as they are; others are quoted: routes["api.example.com/*"].worker.
var bare = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// under is the path of a key below a path.
func under(path, key string) string {
	switch {
	case !bare.MatchString(key):
		return path + "[" + strconv.Quote(key) + "]"
	case path == "":
		return key
	default:
		return path + "." + key
	}
}

// Accepted are paths whose differences were looked at and found right.
type Accepted []*regexp.Regexp

// Accept reads patterns of paths: one takes in everything below it, and * stands for any text.
func Accept(patterns []string) (Accepted, error) {
	var a Accepted
	for _, p := range patterns {
		if strings.Trim(p, "*. ") == "" {
			return nil, fault.New(fault.Invalid, "--ignore %q would ignore everything", p).WithHint("give a path as the diff shows it, such as workers.*.tags")
		}
		a = append(a, regexp.MustCompile(`^`+strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, `.*`)+`($|[.\[])`))
	}
	return a, nil
}

func (a Accepted) covers(path string) bool {
	for _, p := range a {
		if p.MatchString(path) {
			return true
		}
	}
	return false
}
