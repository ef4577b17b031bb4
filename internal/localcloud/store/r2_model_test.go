package store_test

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
	"github.com/google/go-cmp/cmp"
)

func multipartETag(parts ...string) string {
	var all []byte
	for _, p := range parts {
		sum := md5.Sum([]byte(p))
		all = append(all, sum[:]...)
	}
	return fmt.Sprintf("%x-%d", md5.Sum(all), len(parts))
}

func writeFile(t testing.TB, path, body string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(body), 0o600))
}

// The rows are those of the R2 gateway's own tests: one object, uploaded at half past a second.
func TestR2Conditions(t *testing.T) {
	t.Parallel()
	c := newClock()
	c.Advance(500 * time.Millisecond)
	s := account(t, t.TempDir(), store.Options{Now: c.Now})
	good := putObject(t, s, "there", "body", store.R2PutOptions{}).ETag
	at := c.Now()
	past, future := at.Add(-30*time.Second), at.Add(30*time.Second)
	tag := func(v string) []store.ETagMatch { return []store.ETagMatch{{Value: v}} }
	weak := []store.ETagMatch{{Value: good, Weak: true}}
	anyTag := []store.ETagMatch{{Any: true}}
	tests := []struct {
		name           string
		c              store.Conditions
		there, missing bool
	}{
		{"none", store.Conditions{}, true, true},
		{"match", store.Conditions{ETagMatches: tag(good)}, true, false},
		{"match another", store.Conditions{ETagMatches: tag("bad")}, false, false},
		{"match one of two", store.Conditions{ETagMatches: append(tag("bad"), tag(good)...)}, true, false},
		{"match weakly", store.Conditions{ETagMatches: weak}, false, false},
		{"match any", store.Conditions{ETagMatches: anyTag}, true, false},
		{"differ", store.Conditions{ETagDoesNotMatch: tag(good)}, false, true},
		{"differ from another", store.Conditions{ETagDoesNotMatch: tag("bad")}, true, true},
		{"differ weakly", store.Conditions{ETagDoesNotMatch: weak}, false, true},
		{"differ from any", store.Conditions{ETagDoesNotMatch: anyTag}, false, true},
		{"before past", store.Conditions{UploadedBefore: past}, false, true},
		{"before future", store.Conditions{UploadedBefore: future}, true, true},
		{"after past", store.Conditions{UploadedAfter: past}, true, false},
		{"after future", store.Conditions{UploadedAfter: future}, false, false},
		{"match, before past", store.Conditions{ETagMatches: tag(good), UploadedBefore: past}, true, false},
		{"match another, before future", store.Conditions{ETagMatches: tag("bad"), UploadedBefore: future}, false, false},
		{"differ from another, after future", store.Conditions{ETagDoesNotMatch: tag("bad"), UploadedAfter: future}, true, false},
		{"differ, after past", store.Conditions{ETagDoesNotMatch: tag(good), UploadedAfter: past}, false, false},
		{"between", store.Conditions{UploadedAfter: past, UploadedBefore: future}, true, false},
		{"before itself", store.Conditions{UploadedBefore: at}, false, true},
		{"after the second it is in", store.Conditions{UploadedAfter: at.Truncate(time.Second)}, true, false},
		{"the same in whole seconds", store.Conditions{UploadedAfter: at.Truncate(time.Second), SecondsGranularity: true}, false, false},
	}
	for _, test := range tests {
		o, body, err := s.R2().Get("b", "there", store.GetOptions{Conditions: &test.c})
		if body != nil {
			must(t, body.Close())
		}
		if (err == nil) != test.there || err != nil && !errors.Is(err, store.ErrPrecondition) || o.ETag != good || (body != nil) != test.there {
			t.Errorf("%s: get gives %v, body %v", test.name, err, body != nil)
		}
		for key, want := range map[string]bool{"there": test.there, "missing": test.missing} {
			_, err := s.R2().Put(context.Background(), "b", key, strings.NewReader("body"), store.R2PutOptions{Conditions: &test.c})
			if (err == nil) != want || err != nil && !errors.Is(err, store.ErrPrecondition) {
				t.Errorf("%s: put of what is %s gives %v", test.name, key, err)
			}
		}
		must(t, s.R2().Delete("b", "missing"))
	}
}

// Of writers that all demand the same state before, one wins.
func TestR2ConditionalPutIsAtomic(t *testing.T) {
	t.Parallel()
	s := account(t, t.TempDir(), store.Options{})
	const writers = 8
	won := make(chan string, writers)
	for range 5 {
		for i := range writers {
			go func() {
				o, err := s.R2().Put(context.Background(), "b", "lock", strings.NewReader(fmt.Sprint(i)), store.R2PutOptions{
					Conditions: &store.Conditions{ETagDoesNotMatch: []store.ETagMatch{{Any: true}}},
				})
				if err != nil && !errors.Is(err, store.ErrPrecondition) {
					t.Error(err)
				}
				won <- o.ETag
			}()
		}
		var winners []string
		for range writers {
			if etag := <-won; etag != "" {
				winners = append(winners, etag)
			}
		}
		if o, err := s.R2().Head("b", "lock"); err != nil || len(winners) != 1 || o.ETag != winners[0] {
			t.Fatalf("%d writers won, %v", len(winners), err)
		}
		must(t, s.R2().Delete("b", "lock"))
	}
}

// Lists are compared with the plain definition: filter, group, cut.
func TestR2ListBehavesAsItsModel(t *testing.T) {
	t.Parallel()
	s := account(t, t.TempDir(), store.Options{})
	keys := []string{"a", "a/", "a/b", "a/b/c", "a/b/d", "a/c", "a0", "ab", "b/", "b/x", "b//y", "c--d--e", "c--f", "é/ü", "\U0010ffff", "\U0010ffff/\U0010ffff", "z"}
	for _, key := range keys {
		putObject(t, s, key, key, store.R2PutOptions{})
	}
	slices.Sort(keys)
	rnd := rand.New(rand.NewPCG(3, 3))
	pick := func(from ...string) string { return from[rnd.IntN(len(from))] }
	for range 600 {
		o := store.R2ListOptions{
			Prefix: pick("", "", "a", "a/", "b/", "c--", "none", "\U0010ffff"), Delimiter: pick("", "/", "--", "b", "\U0010ffff"),
			StartAfter: pick("", "", "a", "a/b", "a/zzz", "c", "\U0010ffff"), Limit: 1 + rnd.IntN(6),
		}
		objects, prefixes := listModel(keys, o)
		gotObjects, gotPrefixes := listAll(t, s, o)
		if diff := cmp.Diff([][]string{objects, prefixes}, [][]string{gotObjects, gotPrefixes}); diff != "" {
			t.Fatalf("%+v: %s", o, diff)
		}
	}
}

func listModel(keys []string, o store.R2ListOptions) (objects, prefixes []string) {
	for _, key := range keys {
		rest, ok := strings.CutPrefix(key, o.Prefix)
		if !ok || o.StartAfter != "" && key <= o.StartAfter {
			continue
		}
		if head, _, found := strings.Cut(rest, o.Delimiter); found && o.Delimiter != "" {
			if group := o.Prefix + head + o.Delimiter; !slices.Contains(prefixes, group) {
				prefixes = append(prefixes, group)
			}
			continue
		}
		objects = append(objects, key)
	}
	return objects, prefixes
}

func listAll(t *testing.T, s *store.Store, o store.R2ListOptions) (objects, prefixes []string) {
	t.Helper()
	for {
		page, err := s.R2().List("b", o)
		must(t, err)
		n := len(page.Objects) + len(page.Prefixes)
		if n > o.Limit || page.Truncated != (page.Cursor != "") || page.Truncated && n < o.Limit {
			t.Fatalf("page of %d, truncated %v, limit %d", n, page.Truncated, o.Limit)
		}
		for _, one := range page.Objects {
			objects = append(objects, one.Key)
		}
		prefixes = append(prefixes, page.Prefixes...)
		if o.Cursor = page.Cursor; !page.Truncated {
			return objects, prefixes
		}
	}
}
