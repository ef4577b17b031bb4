package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// document is the file: the schema, then the snapshot.
type document struct {
	Schema string `json:"schema"`
	*Snapshot
}

// Encode is the file of a snapshot: the same bytes for the same facts.
func (s *Snapshot) Encode() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(document{Schema, s}); err != nil {
		return nil, fault.New(fault.Internal, "encode the snapshot: %w", err)
	}
	return out.Bytes(), nil
}

// sum is the digest over everything but the time and the digest itself.
func (s *Snapshot) sum() (string, error) {
	timeless := *s
	timeless.At, timeless.Digest = time.Time{}, ""
	raw, err := timeless.Encode()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

func (s *Snapshot) seal() (err error) {
	s.Digest, err = s.sum()
	return err
}

// Parse reads a snapshot file. What is not one is fault.Invalid; one whose content is not what its digest says is fault.Finding.
func Parse(raw []byte) (*Snapshot, error) {
	s, err := decode(raw)
	if err != nil {
		return nil, err
	}
	if err := s.whole(); err != nil {
		return nil, err
	}
	sum, err := s.sum()
	if err != nil {
		return nil, err
	}
	if sum != s.Digest {
		return nil, fault.New(fault.Finding, "the file was changed: its content has the digest %s, and it says %.80s", sum, s.Digest).
			WithHint("take another: cogctl env snapshot --env %s", s.Env)
	}
	// The digest is taken of what was understood. A second copy of a key, or another spelling of one, would not be in it.
	again, err := s.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(compact(raw), compact(again)) {
		return nil, fault.New(fault.Finding, "the file was changed: it says something twice, or in another form than cogctl writes")
	}
	return s, nil
}

func decode(raw []byte) (*Snapshot, error) {
	if !json.Valid(raw) {
		return nil, malformed(raw)
	}
	var head struct {
		Schema string `json:"schema"`
	}
	if json.Unmarshal(raw, &head) != nil || head.Schema != Schema {
		return nil, fault.New(fault.Invalid, "not a snapshot: the schema is %.80q, not %s", head.Schema, Schema)
	}
	s := &Snapshot{}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&document{Snapshot: s}); err != nil {
		return nil, fault.New(fault.Invalid, "not a snapshot that this cogctl can read: %w", err)
	}
	return s, nil
}

func malformed(raw []byte) error {
	err := json.NewDecoder(bytes.NewReader(raw)).Decode(new(json.RawMessage))
	switch {
	case len(bytes.TrimSpace(raw)) == 0:
		return fault.New(fault.Invalid, "not a snapshot: the file is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fault.New(fault.Invalid, "the file ends too early: it was not written whole").WithHint("take another: cogctl env snapshot")
	case err != nil:
		return fault.New(fault.Invalid, "not a snapshot: %w", err)
	default:
		return fault.New(fault.Invalid, "not a snapshot: something follows the document")
	}
}

// whole is an error when a section is missing: an empty one says that there is nothing, a missing one says nothing.
func (s *Snapshot) whole() error {
	c := s.Content
	for _, section := range []struct {
		name    string
		missing bool
	}{
		{secWorkers, c.Workers == nil}, {secRoutes, c.Routes == nil}, {secDomains, c.Domains == nil}, {secDNS, c.DNS == nil},
		{secNamespaces, c.Namespaces == nil}, {secQueues, c.Queues == nil}, {secBuckets, c.Buckets == nil}, {secHyperdrives, c.Hyperdrives == nil},
	} {
		if section.missing {
			return fault.New(fault.Invalid, "not a whole snapshot: the section %s is missing", section.name)
		}
	}
	if s.Env == "" || s.Account == "" || s.At.IsZero() {
		return fault.New(fault.Invalid, "not a whole snapshot: it does not say of which environment, account and time it is")
	}
	return nil
}

func compact(raw []byte) []byte {
	var out bytes.Buffer
	if json.Compact(&out, raw) != nil {
		return nil
	}
	return out.Bytes()
}
