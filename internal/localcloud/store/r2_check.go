package store

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"strings"
	"unicode/utf8"

	"github.com/cognomega/edge/internal/fault"
)

func checkR2Key(key string) error {
	if key == "" || len(key) > MaxR2KeyBytes || !utf8.ValidString(key) {
		return fault.New(fault.Invalid, "object key %.40q cannot be used", key).WithHint("a key is 1 to %d bytes of UTF-8", MaxR2KeyBytes)
	}
	return nil
}

// check gives the storage class that the options mean.
func (o R2PutOptions) check(key string) (class string, err error) {
	if err := checkR2Key(key); err != nil {
		return "", err
	}
	if err := checkCustomMetadata(o.CustomMetadata); err != nil {
		return "", err
	}
	given := 0
	for _, sum := range []string{o.Checksums.MD5, o.Checksums.SHA1, o.Checksums.SHA256, o.Checksums.SHA384, o.Checksums.SHA512} {
		if sum != "" {
			given++
		}
	}
	if given > 1 {
		return "", fault.New(fault.Invalid, "only one checksum may be given, not %d", given)
	}
	return storageClass(o.StorageClass)
}

func storageClass(class string) (string, error) {
	switch class {
	case "", ClassStandard:
		return ClassStandard, nil
	case ClassInfrequentAccess:
		return class, nil
	}
	return "", fault.New(fault.Invalid, "storage class %.40q does not exist", class).WithHint("use %s or %s", ClassStandard, ClassInfrequentAccess)
}

func checkCustomMetadata(meta map[string]string) error {
	size := 0
	for name, value := range meta {
		size += len(name) + len(value)
	}
	if size > MaxR2MetadataBytes {
		return fault.New(fault.TooLarge, "the custom metadata has %d bytes, the limit is %d", size, MaxR2MetadataBytes)
	}
	return nil
}

// digests computes MD5, which is the ETag, and what else the caller gave to compare with.
type digests struct {
	names []string
	sums  []hash.Hash
}

func newDigests(want Checksums) *digests {
	d := &digests{names: []string{"MD5"}, sums: []hash.Hash{md5.New()}}
	for _, one := range []struct {
		name, want string
		make       func() hash.Hash
	}{{"SHA-1", want.SHA1, sha1.New}, {"SHA-256", want.SHA256, sha256.New}, {"SHA-384", want.SHA384, sha512.New384}, {"SHA-512", want.SHA512, sha512.New}} {
		if one.want != "" {
			d.names, d.sums = append(d.names, one.name), append(d.sums, one.make())
		}
	}
	return d
}

// Write is that of io.Writer; it never returns an error.
func (d *digests) Write(p []byte) (int, error) {
	for _, sum := range d.sums {
		sum.Write(p)
	}
	return len(p), nil
}

// verify gives the ETag and the checksums to keep, or ErrDigest.
func (d *digests) verify(want Checksums) (etag string, have Checksums, err error) {
	for i, name := range d.names {
		got := hex.EncodeToString(d.sums[i].Sum(nil))
		wanted, keep := want.field(name), have.field(name)
		if *wanted != "" && !strings.EqualFold(*wanted, got) {
			return "", Checksums{}, fault.New(fault.Invalid, "%w: its %s is %s, not %s", ErrDigest, name, got, *wanted)
		}
		*keep = got
	}
	return have.MD5, have, nil
}

func (c *Checksums) field(name string) *string {
	switch name {
	case "MD5":
		return &c.MD5
	case "SHA-1":
		return &c.SHA1
	case "SHA-256":
		return &c.SHA256
	case "SHA-384":
		return &c.SHA384
	default:
		return &c.SHA512
	}
}

// hold judges by RFC 9110 section 13.2, as R2 applies it: a tag that decides makes the date beside it moot.
func (c *Conditions) hold(have *Object) bool {
	if have == nil {
		return len(c.ETagMatches) == 0 && c.UploadedAfter.IsZero()
	}
	matches := len(c.ETagMatches) == 0 || hasTag(c.ETagMatches, have.ETag, false)
	differs := len(c.ETagDoesNotMatch) == 0 || !hasTag(c.ETagDoesNotMatch, have.ETag, true)
	uploaded, after, before := have.Uploaded, c.UploadedAfter, c.UploadedBefore
	if c.SecondsGranularity {
		uploaded, after, before = floorSecond(uploaded), floorSecond(after), floorSecond(before)
	}
	later := c.UploadedAfter.IsZero() || uploaded.After(after) || len(c.ETagDoesNotMatch) > 0 && differs
	earlier := c.UploadedBefore.IsZero() || uploaded.Before(before) || len(c.ETagMatches) > 0 && matches
	return matches && differs && later && earlier
}

// hasTag compares weakly for If-None-Match, and strongly for If-Match: there a weak tag never matches.
func hasTag(tags []ETagMatch, etag string, weakly bool) bool {
	for _, tag := range tags {
		if tag.Any || tag.Value == etag && (weakly || !tag.Weak) {
			return true
		}
	}
	return false
}
