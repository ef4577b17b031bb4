package store

import (
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// The limits of R2, and its storage classes.
const (
	MaxR2KeyBytes      = 1024
	MaxR2ListLimit     = 1000
	MaxR2DeleteKeys    = 1000
	MaxR2Parts         = 10_000
	MaxR2MetadataBytes = 8192
	MaxR2PutBytes      = 4_995_000_000 // a single upload or part
	DefaultMinPartSize = 5 << 20

	ClassStandard         = "Standard"
	ClassInfrequentAccess = "InfrequentAccess"
)

// What can be wrong with an R2 request, so that each front end gives its own code for it; errors.Is finds them.
var (
	// ErrPrecondition says that a condition does not hold. A Get then still gives the object's metadata.
	ErrPrecondition = &fault.Error{Kind: fault.Conflict, Msg: "at least one of the conditions did not hold"}
	// ErrRange says that no byte of the object is in the range. A Get then still gives the object's metadata.
	ErrRange        = &fault.Error{Kind: fault.Invalid, Msg: "the requested range is not satisfiable"}
	ErrNoSuchBucket = &fault.Error{Kind: fault.NotFound, Msg: "the bucket does not exist"}
	ErrNoSuchKey    = &fault.Error{Kind: fault.NotFound, Msg: "the object does not exist"}
	ErrNoSuchUpload = &fault.Error{Kind: fault.NotFound, Msg: "the multipart upload does not exist"}
	ErrDigest       = &fault.Error{Kind: fault.Invalid, Msg: "the body does not match the checksum"}
	ErrInvalidPart  = &fault.Error{Kind: fault.Invalid, Msg: "a part cannot be used"}
	ErrPartTooSmall = &fault.Error{Kind: fault.Invalid, Msg: "a part is too small"}
	ErrPartSizes    = &fault.Error{Kind: fault.Invalid, Msg: "all parts but the last must have one size"}
)

// HTTPMetadata are the headers a stored object is served with.
type HTTPMetadata struct {
	ContentType        string     `json:"contentType,omitempty"`
	ContentLanguage    string     `json:"contentLanguage,omitempty"`
	ContentDisposition string     `json:"contentDisposition,omitempty"`
	ContentEncoding    string     `json:"contentEncoding,omitempty"`
	CacheControl       string     `json:"cacheControl,omitempty"`
	CacheExpiry        *time.Time `json:"cacheExpiry,omitempty"`
}

// Checksums are digests in lower-case hex. As an option of Put at most one is given, and it must match the body.
type Checksums struct {
	MD5    string `json:"md5,omitempty"`
	SHA1   string `json:"sha1,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	SHA384 string `json:"sha384,omitempty"`
	SHA512 string `json:"sha512,omitempty"`
}

// ETagMatch is one entity tag of a condition.
type ETagMatch struct {
	Value string // without quotes
	Weak  bool
	Any   bool // the * of If-Match and If-None-Match
}

// Conditions must hold for a Get to give the body, or a Put to write. Fields that are not set hold.
type Conditions struct {
	ETagMatches        []ETagMatch
	ETagDoesNotMatch   []ETagMatch
	UploadedBefore     time.Time
	UploadedAfter      time.Time
	SecondsGranularity bool // compare times in whole seconds, as HTTP dates are
}

// Object is an R2 object without its body.
type Object struct {
	Key            string            `json:"key"`
	Version        string            `json:"version"` // 32 hex digits, new with each write
	Size           int64             `json:"size"`
	ETag           string            `json:"etag"` // without quotes
	Uploaded       time.Time         `json:"uploaded"`
	HTTPMetadata   HTTPMetadata      `json:"http_metadata"`
	CustomMetadata map[string]string `json:"custom_metadata,omitempty"`
	StorageClass   string            `json:"storage_class"`
	Checksums      Checksums         `json:"checksums"`
	Range          *Span             `json:"-"` // what a Get with a range gave
}

// Span is a resolved range of bytes.
type Span struct{ Offset, Length int64 }

// R2PutOptions say what to store beside a body, and when to store it at all.
type R2PutOptions struct {
	HTTPMetadata   HTTPMetadata
	CustomMetadata map[string]string
	StorageClass   string // Standard when empty
	Conditions     *Conditions
	Checksums      Checksums
}

// Range asks for part of a body: Suffix (the last n bytes), or Offset and Length, each optional.
type Range struct {
	Offset, Length, Suffix *int64
}

// GetOptions choose what Get gives.
type GetOptions struct {
	Range      *Range
	Conditions *Conditions
}

// R2ListOptions choose objects of a bucket.
type R2ListOptions struct {
	Prefix, Delimiter, Cursor, StartAfter string
	Limit                                 int  // 1 to 1,000; 0 means 1,000
	HTTPMetadata, CustomMetadata          bool // include them; left out otherwise
}

// R2Page is a part of a list, in byte order. Prefixes are the groups that the delimiter made of keys.
type R2Page struct {
	Objects   []Object
	Prefixes  []string
	Cursor    string // of the next page; empty unless Truncated
	Truncated bool
}

// MultipartOptions are of CreateMultipart.
type MultipartOptions struct {
	HTTPMetadata   HTTPMetadata
	CustomMetadata map[string]string
	StorageClass   string
}

// Upload is a multipart upload under way.
type Upload struct {
	ID      string    `json:"id"`
	Key     string    `json:"key"`
	Started time.Time `json:"started"`
}

// Part is one uploaded part.
type Part struct {
	Number int    `json:"number"` // 1 to 10,000
	ETag   string `json:"etag"`
	Size   int64  `json:"size,omitempty"` // not needed by CompleteMultipart
}

// LifecycleReport says what one run of the lifecycle rules did.
type LifecycleReport struct {
	Actions []LifecycleApplied
}

// LifecycleApplied is what one rule did in one bucket.
type LifecycleApplied struct {
	Bucket, Rule                   string
	Deleted, Transitioned, Aborted int
}
