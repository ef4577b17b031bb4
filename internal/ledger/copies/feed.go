package copies

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/ledger"
)

// FeedPrefix begins the key of every entry of the feed.
const FeedPrefix = "usage:"

const (
	feedLife   = 30 * 24 * time.Hour
	feedMargin = 10 * time.Minute // around its end an entry may be there or not
	visibility = 2 * time.Minute  // until a write to KV is seen everywhere
	maxSafe    = 1<<53 - 1
)

// FeedKey spells the key of a use.
func FeedKey(account string, atMS int64, id string) string {
	return FeedPrefix + account + ":" + strconv.FormatInt(maxSafe-atMS, 36) + ":" + id
}

// What this platform's Workers make: ids by time, and ids of keys. Others may be of the platform before, whose usage the ledger never had.
var ownID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[78][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// Feed compares the keys of the feed with the journal: both come in the same order, so neither is held.
type Feed struct {
	Compared int // uses of the journal
	OnWay    int // those that were recorded so lately that their entry may be on its way
	Missing  []string
	strange  []string

	uses  *ledger.FeedUses
	next  ledger.FeedUse
	more  bool
	since time.Time
	young time.Time
}

// NewFeed begins a comparison. A use that was recorded within grace, or whose entry is not seen everywhere yet, is not missing.
func NewFeed(ctx context.Context, l *ledger.Ledger, now time.Time, grace time.Duration) (*Feed, error) {
	f := &Feed{since: now.Add(feedMargin - feedLife), young: now.Add(-grace - visibility)}
	var err error
	if f.uses, err = l.EachFeedUse(ctx, f.since); err == nil {
		err = f.advance()
	}
	return f, err
}

func (f *Feed) advance() (err error) {
	f.next, f.more, err = f.uses.Next()
	return err
}

// Keys takes the next keys that KV lists.
func (f *Feed) Keys(keys []string) error {
	for _, key := range keys {
		if err := f.upTo(key); err != nil {
			return err
		}
		if f.more && f.key() == key {
			f.Compared++
			if err := f.advance(); err != nil {
				return err
			}
		} else if f.ours(key) {
			f.strange = append(f.strange, key)
		}
	}
	return nil
}

func (f *Feed) key() string { return FeedKey(f.next.Account, f.next.AtMS, f.next.ID) }

// upTo notes the uses that come before a key: KV does not have them. Empty: all that are left.
func (f *Feed) upTo(key string) error {
	for f.more && (key == "" || f.key() < key) {
		f.Compared++
		if f.next.Recorded.After(f.young) {
			f.OnWay++
		} else {
			f.Missing = append(f.Missing, f.key())
		}
		if err := f.advance(); err != nil {
			return err
		}
	}
	return nil
}

func (f *Feed) ours(key string) bool {
	parts := strings.Split(strings.TrimPrefix(key, FeedPrefix), ":")
	if len(parts) != 3 || !ownID.MatchString(parts[2]) {
		return false
	}
	rev, err := strconv.ParseInt(parts[1], 36, 64)
	return err == nil && len(parts[1]) == 11 && maxSafe-rev >= f.since.UnixMilli()
}

// End names what the journal does not have, but for what it took while this went on.
func (f *Feed) End(ctx context.Context, l *ledger.Ledger) (foreign []string, err error) {
	err = f.upTo("")
	f.uses.Close()
	if err != nil || len(f.strange) == 0 {
		return nil, err
	}
	ids := make([]string, len(f.strange))
	for i, key := range f.strange {
		ids[i] = key[strings.LastIndexByte(key, ':')+1:]
	}
	has, err := l.HasUses(ctx, ids)
	for i, key := range f.strange {
		if !has[ids[i]] {
			foreign = append(foreign, key)
		}
	}
	return foreign, err
}

// Close ends a comparison early.
func (f *Feed) Close() { f.uses.Close() }
