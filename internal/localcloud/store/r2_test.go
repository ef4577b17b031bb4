package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
	"github.com/google/go-cmp/cmp"
)

func putObject(t testing.TB, s *store.Store, key, body string, o store.R2PutOptions) store.Object {
	t.Helper()
	one, err := s.R2().Put(context.Background(), "b", key, strings.NewReader(body), o)
	must(t, err)
	return one
}

func readObject(t testing.TB, s *store.Store, key string, o store.GetOptions) (store.Object, string) {
	t.Helper()
	one, body, err := s.R2().Get("b", key, o)
	must(t, err)
	raw, err := io.ReadAll(body)
	must(t, errors.Join(err, body.Close()))
	return one, string(raw)
}

func TestR2Object(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), newClock()
	s := account(t, dir, store.Options{Now: c.Now})
	expiry := c.Now().Add(time.Hour)
	put := putObject(t, s, "k/ä", "hello", store.R2PutOptions{
		HTTPMetadata:   store.HTTPMetadata{ContentType: "text/plain", CacheExpiry: &expiry},
		CustomMetadata: map[string]string{"a": "b"}, StorageClass: store.ClassInfrequentAccess,
		// echo -n hello | sha1sum
		Checksums: store.Checksums{SHA1: "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"},
	})
	want := store.Object{
		Key: "k/ä", Version: put.Version, Size: 5, ETag: "5d41402abc4b2a76b9719d911017c592", Uploaded: c.Now(),
		HTTPMetadata:   store.HTTPMetadata{ContentType: "text/plain", CacheExpiry: &expiry},
		CustomMetadata: map[string]string{"a": "b"}, StorageClass: "InfrequentAccess",
		Checksums: store.Checksums{MD5: "5d41402abc4b2a76b9719d911017c592", SHA1: "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"},
	}
	for range 2 {
		got, body := readObject(t, s, "k/ä", store.GetOptions{})
		head, err := s.R2().Head("b", "k/ä")
		must(t, err)
		if diff := cmp.Diff([]store.Object{want, want, want}, []store.Object{put, got, head}); diff != "" || body != "hello" {
			t.Errorf("%q %s", body, diff)
		}
		must(t, s.Close())
		s = open(t, dir, store.Options{Now: c.Now})
	}
	again := putObject(t, s, "k/ä", "", store.R2PutOptions{})
	if again.Version == put.Version {
		t.Error("two writes have one version")
	}
	if _, body := readObject(t, s, "k/ä", store.GetOptions{}); body != "" {
		t.Errorf("read %q", body)
	}
	must(t, s.R2().Delete("b", "k/ä", "never"))
	_, err := s.R2().Head("b", "k/ä")
	if !errors.Is(err, store.ErrNoSuchKey) {
		t.Errorf("got %v", err)
	}
	wantFiles(t, dir, 0)
}

func TestR2Refuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := account(t, dir, store.Options{})
	tests := map[string]struct {
		bucket, key string
		o           store.R2PutOptions
		kind        fault.Kind
		is          error
	}{
		"an empty key":          {"b", "", store.R2PutOptions{}, fault.Invalid, nil},
		"a key of 1025 bytes":   {"b", strings.Repeat("k", 1025), store.R2PutOptions{}, fault.Invalid, nil},
		"a key that is no text": {"b", "\xff", store.R2PutOptions{}, fault.Invalid, nil},
		"an unknown bucket":     {"nope", "k", store.R2PutOptions{}, fault.NotFound, store.ErrNoSuchBucket},
		"an unknown class":      {"b", "k", store.R2PutOptions{StorageClass: "Glacier"}, fault.Invalid, nil},
		"large metadata":        {"b", "k", store.R2PutOptions{CustomMetadata: map[string]string{"k": strings.Repeat("v", 8192)}}, fault.TooLarge, nil},
		"a wrong checksum":      {"b", "k", store.R2PutOptions{Checksums: store.Checksums{SHA256: strings.Repeat("0", 64)}}, fault.Invalid, store.ErrDigest},
		"a wrong MD5":           {"b", "k", store.R2PutOptions{Checksums: store.Checksums{MD5: strings.Repeat("0", 32)}}, fault.Invalid, store.ErrDigest},
		"two checksums":         {"b", "k", store.R2PutOptions{Checksums: store.Checksums{MD5: "x", SHA1: "y"}}, fault.Invalid, nil},
		"a condition":           {"b", "k", store.R2PutOptions{Conditions: &store.Conditions{ETagMatches: []store.ETagMatch{{Value: "x"}}}}, fault.Conflict, store.ErrPrecondition},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := s.R2().Put(context.Background(), test.bucket, test.key, strings.NewReader("body"), test.o)
			if wantKind(t, err, test.kind); test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("%v is not %v", err, test.is)
			}
		})
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.R2().Put(ended, "b", "k", strings.NewReader("body"), store.R2PutOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := s.R2().Put(context.Background(), "b", "k", io.MultiReader(strings.NewReader("half"), broken{}), store.R2PutOptions{}); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
	wantFiles(t, dir, 0)
}

func TestR2ReaderOutlivesTheObject(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := account(t, dir, store.Options{})
	putObject(t, s, "k", "first", store.R2PutOptions{})
	_, slow, err := s.R2().Get("b", "k", store.GetOptions{})
	must(t, err)
	putObject(t, s, "k", "second", store.R2PutOptions{})
	if raw, err := io.ReadAll(slow); err != nil || string(raw) != "first" {
		t.Errorf("read %q, %v", raw, err)
	}
	wantFiles(t, dir, 2)
	must(t, slow.Close())
	must(t, slow.Close())
	wantFiles(t, dir, 1)
}

func TestR2Ranges(t *testing.T) {
	t.Parallel()
	s := account(t, t.TempDir(), store.Options{R2MinPartSize: 1})
	putObject(t, s, "one", "0123456789", store.R2PutOptions{})
	putParts(t, s, "many", "0123", "4567", "89")
	putObject(t, s, "empty", "", store.R2PutOptions{})
	tests := []struct {
		header, want string
		offset       int64
	}{
		{"bytes=0-0", "0", 0}, {"bytes=3-5", "345", 3}, {"bytes=3-4", "34", 3}, {"bytes=8-", "89", 8}, {"bytes=-3", "789", 7}, {"bytes=-99", "0123456789", 0},
		{"bytes=5-99", "56789", 5}, {"bytes=0-9223372036854775807", "0123456789", 0}, {"bytes=10-", "", -1}, {"bytes=-0", "", -1},
	}
	for _, test := range tests {
		for _, key := range []string{"one", "many"} {
			r := store.ParseRange(test.header)
			if r == nil {
				t.Fatalf("%s was not understood", test.header)
			}
			if test.offset < 0 {
				one, body, err := s.R2().Get("b", key, store.GetOptions{Range: r})
				if !errors.Is(err, store.ErrRange) || body != nil || one.Size != 10 {
					t.Errorf("%s of %s: %v", test.header, key, err)
				}
				continue
			}
			one, got := readObject(t, s, key, store.GetOptions{Range: r})
			if got != test.want || *one.Range != (store.Span{Offset: test.offset, Length: int64(len(test.want))}) {
				t.Errorf("%s of %s: %q, %v", test.header, key, got, one.Range)
			}
		}
	}
	for _, header := range []string{"", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-3", "bytes=0-1,3-4", "items=0-1", "bytes=+1-2", "bytes=99999999999999999999-"} {
		if r := store.ParseRange(header); r != nil {
			t.Errorf("%q was understood as %+v", header, r)
		}
	}
	_, _, err := s.R2().Get("b", "empty", store.GetOptions{Range: store.ParseRange("bytes=0-")})
	if !errors.Is(err, store.ErrRange) {
		t.Errorf("got %v", err)
	}
}

func putParts(t testing.TB, s *store.Store, key string, bodies ...string) store.Object {
	t.Helper()
	up, err := s.R2().CreateMultipart("b", key, store.MultipartOptions{})
	must(t, err)
	var parts []store.Part
	for i, body := range bodies {
		p, err := s.R2().UploadPart(context.Background(), "b", key, up.ID, i+1, strings.NewReader(body))
		must(t, err)
		parts = append(parts, p)
	}
	one, err := s.R2().CompleteMultipart("b", key, up.ID, parts)
	must(t, err)
	return one
}

func TestR2Multipart(t *testing.T) {
	t.Parallel()
	dir, ctx := t.TempDir(), context.Background()
	s := account(t, dir, store.Options{R2MinPartSize: 4})
	r := s.R2()
	up, err := r.CreateMultipart("b", "k", store.MultipartOptions{CustomMetadata: map[string]string{"a": "b"}, HTTPMetadata: store.HTTPMetadata{ContentType: "x/y"}})
	must(t, err)
	upload := func(n int, body string) store.Part {
		p, err := r.UploadPart(ctx, "b", "k", up.ID, n, strings.NewReader(body))
		must(t, err)
		return p
	}
	one, overwritten, short := upload(1, "aaaa"), upload(2, "XXXX"), upload(4, "c")
	upload(9, "not named")
	two := upload(2, "bbbb")
	long := upload(5, "ddddd")
	if _, err := r.Head("b", "k"); !errors.Is(err, store.ErrNoSuchKey) {
		t.Errorf("visible before it is complete: %v", err)
	}
	for name, bad := range map[string]struct {
		parts []store.Part
		want  error
	}{
		"no parts":             {nil, store.ErrInvalidPart},
		"an overwritten part":  {[]store.Part{one, overwritten}, store.ErrInvalidPart},
		"a part never sent":    {[]store.Part{one, {Number: 3, ETag: one.ETag}}, store.ErrInvalidPart},
		"part zero":            {[]store.Part{{Number: 0, ETag: one.ETag}}, store.ErrInvalidPart},
		"a part twice":         {[]store.Part{one, one}, store.ErrInvalidPart},
		"a short one inside":   {[]store.Part{one, two, short, long}, store.ErrPartTooSmall},
		"a last one too large": {[]store.Part{one, two, long}, store.ErrPartSizes},
	} {
		if _, err := r.CompleteMultipart("b", "k", up.ID, bad.parts); !errors.Is(err, bad.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := r.CompleteMultipart("b", "k", up.ID, []store.Part{short, one, two}) // in any order
	must(t, err)
	if got.ETag != multipartETag("aaaa", "bbbb", "c") || got.Size != 9 || got.CustomMetadata["a"] != "b" || got.HTTPMetadata.ContentType != "x/y" {
		t.Errorf("got %+v", got)
	}
	if _, body := readObject(t, s, "k", store.GetOptions{}); body != "aaaabbbbc" {
		t.Errorf("read %q", body)
	}
	wantFiles(t, dir, 3)
	if _, err := r.UploadPart(ctx, "b", "k", up.ID, 1, strings.NewReader("late")); !errors.Is(err, store.ErrNoSuchUpload) {
		t.Errorf("got %v", err)
	}
	must(t, s.R2().Delete("b", "k"))
	wantFiles(t, dir, 0)
}

func TestR2AbortMultipart(t *testing.T) {
	t.Parallel()
	dir, ctx := t.TempDir(), context.Background()
	s := account(t, dir, store.Options{})
	up, err := s.R2().CreateMultipart("b", "k", store.MultipartOptions{})
	must(t, err)
	for n := range 3 {
		_, err := s.R2().UploadPart(ctx, "b", "k", up.ID, n+1, strings.NewReader("part"))
		must(t, err)
	}
	for _, bad := range []struct{ key, id string }{{"other", up.ID}, {"k", "other"}, {"k", ""}} {
		if err := s.R2().AbortMultipart("b", bad.key, bad.id); !errors.Is(err, store.ErrNoSuchUpload) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	for _, n := range []int{0, 10_001} {
		_, err := s.R2().UploadPart(ctx, "b", "k", up.ID, n, strings.NewReader("part"))
		wantKind(t, err, fault.Invalid)
	}
	wantFiles(t, dir, 3)
	must(t, s.R2().AbortMultipart("b", "k", up.ID))
	wantFiles(t, dir, 0)
	if ups, err := s.R2().Uploads("b"); err != nil || len(ups) > 0 {
		t.Errorf("left %v, %v", ups, err)
	}
}

func TestR2DropBucket(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := account(t, dir, store.Options{})
	putObject(t, s, "k", "v", store.R2PutOptions{})
	err := s.R2().DropBucket("b")
	if wantKind(t, err, fault.Conflict); fault.HintOf(err) == "" {
		t.Error("no way out")
	}
	must(t, s.R2().Delete("b", "k"))
	up, err := s.R2().CreateMultipart("b", "k", store.MultipartOptions{})
	must(t, err)
	_, err = s.R2().UploadPart(context.Background(), "b", "k", up.ID, 1, strings.NewReader("part"))
	must(t, err)
	must(t, s.R2().DropBucket("b"))
	must(t, s.R2().DropBucket("b"))
	wantFiles(t, dir, 0)
	_, err = s.R2().List("b", store.R2ListOptions{})
	if !errors.Is(err, store.ErrNoSuchBucket) {
		t.Errorf("got %v", err)
	}
}

func TestR2ListIncludes(t *testing.T) {
	t.Parallel()
	s := account(t, t.TempDir(), store.Options{})
	putObject(t, s, "k", "v", store.R2PutOptions{HTTPMetadata: store.HTTPMetadata{ContentType: "a/b"}, CustomMetadata: map[string]string{"x": "y"}})
	for _, o := range []store.R2ListOptions{{}, {HTTPMetadata: true}, {CustomMetadata: true}, {HTTPMetadata: true, CustomMetadata: true}} {
		page, err := s.R2().List("b", o)
		must(t, err)
		one := page.Objects[0]
		if (one.HTTPMetadata.ContentType == "a/b") != o.HTTPMetadata || (one.CustomMetadata["x"] == "y") != o.CustomMetadata {
			t.Errorf("%+v: %+v", o, one)
		}
	}
	_, err := s.R2().List("b", store.R2ListOptions{Limit: 1001})
	wantKind(t, err, fault.Invalid)
	_, err = s.R2().List("b", store.R2ListOptions{Cursor: "%"})
	wantKind(t, err, fault.Invalid)
}

// A cut between the body and its record, and between the record and the old body, each leave a file that Open deletes.
func TestOpenCollectsOrphans(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := account(t, dir, store.Options{})
	for i := range 5 {
		putObject(t, s, fmt.Sprint(i), "v", store.R2PutOptions{})
	}
	must(t, s.KV().Put("ns", "large", make([]byte, 100_000), store.PutOptions{}))
	must(t, s.Close())
	files := filesUnder(t, filepath.Join(dir, "blobs", "bodies"))
	orphan := filepath.Join(filepath.Dir(files[0]), strings.Repeat("f", 32))
	writeFile(t, orphan, "half")
	s = open(t, dir, store.Options{})
	wantFiles(t, dir, 6)
	for i := range 5 {
		readObject(t, s, fmt.Sprint(i), store.GetOptions{})
	}
}
