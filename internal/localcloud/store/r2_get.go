package store

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Get gives an object and its body, or the part of it in the range. The body stays readable, unchanged, until it is closed,
// also when the object is replaced or deleted meanwhile. When a condition does not hold, the object comes with ErrPrecondition
// and without a body.
func (r *R2) Get(bucket, key string, o GetOptions) (Object, io.ReadCloser, error) {
	if err := checkR2Key(key); err != nil {
		return Object{}, nil, err
	}
	var one objectRecord
	release, err := r.s.bodies.reading(func() (ids []string, err error) {
		err = r.s.db.View(func(tx *bolt.Tx) error {
			b, err := openBucket(tx, bucket)
			if err == nil {
				one, err = b.get(key)
			}
			return err
		})
		for _, s := range one.Bodies {
			ids = append(ids, s.ID)
		}
		return ids, err
	})
	if err != nil {
		return Object{}, nil, asFault(err, "get an object")
	}
	span := Span{Length: one.Size}
	switch {
	case o.Conditions != nil && !o.Conditions.hold(&one.Object):
		release()
		return one.Object, nil, ErrPrecondition
	case o.Range != nil:
		if span, err = o.Range.resolve(one.Size); err != nil {
			release()
			return one.Object, nil, err
		}
		one.Range = &span
	}
	return one.Object, &bodyReader{bodies: r.s.bodies, segments: one.Bodies, skip: span.Offset, left: span.Length, release: release}, nil
}

// bodyReader reads a span of the files of a body one after the other, with at most one of them open.
type bodyReader struct {
	bodies   *bodies
	segments []segment // still to be opened
	skip     int64     // bytes before the span, from the first of segments
	left     int64
	file     *os.File
	release  func()
}

func (b *bodyReader) Read(p []byte) (int, error) {
	for {
		if b.left == 0 {
			return 0, io.EOF
		}
		if b.file == nil {
			if err := b.open(); err != nil {
				return 0, asFault(err, "read a body")
			}
		}
		n, err := b.file.Read(p[:min(int64(len(p)), b.left)])
		b.left -= int64(n)
		if errors.Is(err, io.EOF) {
			err = b.file.Close()
			b.file = nil
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, asFault(err, "read a body")
		}
	}
}

// open goes to the next file that holds bytes of the span.
func (b *bodyReader) open() error {
	for len(b.segments) > 0 && b.skip >= b.segments[0].Size {
		b.skip -= b.segments[0].Size
		b.segments = b.segments[1:]
	}
	if len(b.segments) == 0 {
		return io.ErrUnexpectedEOF
	}
	f, err := os.Open(b.bodies.path(b.segments[0].ID))
	if err != nil {
		return err
	}
	if _, err := f.Seek(b.skip, io.SeekStart); err != nil {
		return errors.Join(err, f.Close())
	}
	b.file, b.segments, b.skip = f, b.segments[1:], 0
	return nil
}

// Close lets go of the files; a body that was replaced meanwhile is deleted by its last reader.
func (b *bodyReader) Close() error {
	var err error
	if b.file != nil {
		err = b.file.Close()
		b.file = nil
	}
	b.left = 0
	b.release()
	return asFault(err, "close a body")
}

// resolve turns a range into the bytes of a body of that size; ErrRange when there are none.
func (r Range) resolve(size int64) (Span, error) {
	if r.Suffix != nil {
		n := min(*r.Suffix, size)
		if n <= 0 {
			return Span{}, ErrRange
		}
		return Span{Offset: size - n, Length: n}, nil
	}
	var span Span
	if r.Offset != nil {
		span.Offset = *r.Offset
	}
	if span.Offset < 0 || span.Offset >= size {
		return Span{}, ErrRange
	}
	span.Length = size - span.Offset
	if r.Length != nil {
		span.Length = min(*r.Length, span.Length)
	}
	if span.Length <= 0 {
		return Span{}, ErrRange
	}
	return span, nil
}

// ParseRange reads a Range header. As RFC 9110 allows and R2 does, one that it cannot serve (another unit, several ranges,
// anything malformed) is nil: the whole body.
func ParseRange(header string) *Range {
	unit, spec, ok := strings.Cut(strings.TrimSpace(header), "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return nil
	}
	first, last, ok := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok {
		return nil
	}
	from, fromOK := parseOffset(first)
	to, toOK := parseOffset(last)
	switch {
	case first == "" && toOK:
		return &Range{Suffix: &to}
	case fromOK && last == "":
		return &Range{Offset: &from}
	case fromOK && toOK && from <= to:
		length := to - from + 1
		if length <= 0 { // to is the largest number there is
			return &Range{Offset: &from}
		}
		return &Range{Offset: &from, Length: &length}
	}
	return nil
}

func parseOffset(digits string) (int64, bool) {
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil
}

// floorSecond leaves the zero time as it is.
func floorSecond(t time.Time) time.Time { return t.Truncate(time.Second) }
