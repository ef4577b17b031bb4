package runtime

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// r2Number is a 64-bit number, which Cap'n Proto's JSON writes as text.
type r2Number int64

func (n *r2Number) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	*n = r2Number(v)
	return err
}

func (n *r2Number) pointer() *int64 {
	if n == nil {
		return nil
	}
	v := int64(*n)
	return &v
}

func (n *r2Number) time() time.Time {
	if n == nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(*n))
}

type r2Pair struct {
	K string `json:"k"`
	V string `json:"v"`
}

// r2Request is R2BindingRequest of workerd's r2-api.capnp.
type r2Request struct {
	Method       string
	Object       string
	Objects      []string
	Range        *struct{ Offset, Length, Suffix *r2Number }
	RangeHeader  string
	OnlyIf       *r2Conditions
	CustomFields []r2Pair
	HTTPFields   r2HTTP
	MD5          string // base64; the others are hex
	SHA1         string
	SHA256       string
	SHA384       string
	SHA512       string
	StorageClass string
	UploadID     string
	PartNumber   int
	Parts        []struct {
		ETag string
		Part int
	}
	Limit                                 *r2Number
	Prefix, Cursor, Delimiter, StartAfter string
	Include                               []int
}

type r2Conditions struct {
	ETagMatches, ETagDoesNotMatch []struct{ Value, Type string }
	UploadedBefore, UploadedAfter *r2Number
	SecondsGranularity            bool
}

func (c *r2Conditions) conditions() *store.Conditions {
	if c == nil {
		return nil
	}
	tags := func(in []struct{ Value, Type string }) (out []store.ETagMatch) {
		for _, t := range in {
			out = append(out, store.ETagMatch{Value: t.Value, Weak: t.Type == "weak", Any: t.Type == "wildcard"})
		}
		return out
	}
	return &store.Conditions{
		ETagMatches: tags(c.ETagMatches), ETagDoesNotMatch: tags(c.ETagDoesNotMatch),
		UploadedBefore: c.UploadedBefore.time(), UploadedAfter: c.UploadedAfter.time(), SecondsGranularity: c.SecondsGranularity,
	}
}

func (q r2Request) custom() map[string]string {
	if len(q.CustomFields) == 0 {
		return nil
	}
	m := make(map[string]string, len(q.CustomFields))
	for _, p := range q.CustomFields {
		m[p.K] = p.V
	}
	return m
}

func (q r2Request) parts() []store.Part {
	parts := make([]store.Part, 0, len(q.Parts))
	for _, p := range q.Parts {
		parts = append(parts, store.Part{Number: p.Part, ETag: p.ETag})
	}
	return parts
}

func (q r2Request) checksums() (store.Checksums, error) {
	sums := store.Checksums{SHA1: q.SHA1, SHA256: q.SHA256, SHA384: q.SHA384, SHA512: q.SHA512}
	if q.MD5 != "" {
		raw, err := base64.StdEncoding.DecodeString(q.MD5)
		if err != nil {
			return sums, fault.New(fault.Invalid, "malformed md5")
		}
		sums.MD5 = hex.EncodeToString(raw)
	}
	return sums, nil
}

// span is the range asked for; of a Range header only one range of bytes counts, anything else is the whole object.
func (q r2Request) span() (*store.Range, error) {
	if q.RangeHeader != "" {
		return rangeOf(q.RangeHeader), nil
	}
	if q.Range == nil {
		return nil, nil
	}
	r := &store.Range{Offset: q.Range.Offset.pointer(), Length: q.Range.Length.pointer(), Suffix: q.Range.Suffix.pointer()}
	if r.Suffix != nil && (r.Offset != nil || r.Length != nil) {
		return nil, fault.New(fault.Invalid, "suffix is incompatible with offset and length")
	}
	return r, nil
}

// rangeOf reads a Range header (RFC 9110, section 14.2).
func rangeOf(header string) *store.Range {
	spec, ok := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(header), " ", ""), "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !ok || !dash || strings.Contains(spec, ",") {
		return nil
	}
	if first == "" {
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil || n < 0 {
			return nil
		}
		return &store.Range{Suffix: &n}
	}
	from, err := strconv.ParseInt(first, 10, 64)
	if err != nil || from < 0 {
		return nil
	}
	if last == "" {
		return &store.Range{Offset: &from}
	}
	to, err := strconv.ParseInt(last, 10, 64)
	if err != nil || to < from {
		return nil
	}
	n := to - from + 1
	return &store.Range{Offset: &from, Length: &n}
}

type r2HTTP struct {
	ContentType        string    `json:"contentType,omitempty"`
	ContentLanguage    string    `json:"contentLanguage,omitempty"`
	ContentDisposition string    `json:"contentDisposition,omitempty"`
	ContentEncoding    string    `json:"contentEncoding,omitempty"`
	CacheControl       string    `json:"cacheControl,omitempty"`
	CacheExpiry        *r2Number `json:"cacheExpiry,omitempty"`
}

func (h r2HTTP) metadata() store.HTTPMetadata {
	m := store.HTTPMetadata{
		ContentType: h.ContentType, ContentLanguage: h.ContentLanguage, ContentDisposition: h.ContentDisposition,
		ContentEncoding: h.ContentEncoding, CacheControl: h.CacheControl,
	}
	if h.CacheExpiry != nil {
		at := h.CacheExpiry.time()
		m.CacheExpiry = &at
	}
	return m
}

// r2Object is R2HeadResponse of workerd's r2-api.capnp.
type r2Object struct {
	Name         string            `json:"name"`
	Version      string            `json:"version"`
	Size         int64             `json:"size"`
	ETag         string            `json:"etag"`
	Uploaded     int64             `json:"uploaded"`
	HTTPFields   *r2HTTP           `json:"httpFields,omitempty"`
	CustomFields []r2Pair          `json:"customFields"`
	Range        *r2Range          `json:"range,omitempty"`
	Checksums    map[string]string `json:"checksums"`
	StorageClass string            `json:"storageClass,omitempty"`
}

type r2Range struct {
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`
}

func r2View(o store.Object) r2Object {
	h := o.HTTPMetadata
	v := r2Object{
		Name: o.Key, Version: o.Version, Size: o.Size, ETag: o.ETag, Uploaded: o.Uploaded.UnixMilli(), StorageClass: o.StorageClass,
		CustomFields: []r2Pair{}, Checksums: map[string]string{},
		HTTPFields: &r2HTTP{
			ContentType: h.ContentType, ContentLanguage: h.ContentLanguage, ContentDisposition: h.ContentDisposition,
			ContentEncoding: h.ContentEncoding, CacheControl: h.CacheControl,
		},
	}
	if h.CacheExpiry != nil {
		n := r2Number(h.CacheExpiry.UnixMilli())
		v.HTTPFields.CacheExpiry = &n
	}
	for _, k := range sortedKeys(o.CustomMetadata) {
		v.CustomFields = append(v.CustomFields, r2Pair{k, o.CustomMetadata[k]})
	}
	for i, sum := range []string{o.Checksums.MD5, o.Checksums.SHA1, o.Checksums.SHA256, o.Checksums.SHA384, o.Checksums.SHA512} {
		if sum != "" {
			v.Checksums[strconv.Itoa(i)] = sum
		}
	}
	if o.Range != nil {
		v.Range = &r2Range{o.Range.Offset, o.Range.Length}
	}
	return v
}

type r2Error struct {
	status, code int
	message      string
}

// r2ErrorOf gives an error Cloudflare's number, which scripts see at the end of the exception's message.
func r2ErrorOf(err error) r2Error {
	for _, known := range []struct {
		is   error
		then r2Error
	}{
		{store.ErrNoSuchKey, r2Error{http.StatusNotFound, 10007, "The specified key does not exist."}},
		{store.ErrNoSuchBucket, r2Error{http.StatusNotFound, 10006, "The specified bucket does not exist."}},
		{store.ErrPrecondition, r2Error{http.StatusPreconditionFailed, 10031, "At least one of the pre-conditions you specified did not hold."}},
		{store.ErrRange, r2Error{http.StatusRequestedRangeNotSatisfiable, 10039, "The requested range is not satisfiable"}},
		{store.ErrNoSuchUpload, r2Error{http.StatusBadRequest, 10024, "The specified multipart upload does not exist."}},
		{store.ErrInvalidPart, r2Error{http.StatusBadRequest, 10025, "One or more of the specified parts could not be found."}},
		{store.ErrPartTooSmall, r2Error{http.StatusBadRequest, 10011, "Your proposed upload is smaller than the minimum allowed object size."}},
		{store.ErrPartSizes, r2Error{http.StatusInternalServerError, 10048, "There was a problem with the multipart upload."}},
		{store.ErrDigest, r2Error{http.StatusBadRequest, 10037, err.Error()}},
	} {
		if errors.Is(err, known.is) {
			return known.then
		}
	}
	switch fault.KindOf(err) {
	case fault.TooLarge:
		return r2Error{http.StatusBadRequest, 100100, err.Error()}
	case fault.Invalid:
		return r2Error{http.StatusBadRequest, 10029, err.Error()}
	}
	return r2Error{http.StatusInternalServerError, 10001, "We encountered an internal error. Please try again. " + err.Error()}
}
