package evidence

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/cognomega/edge/internal/fault"
)

// PayloadType is what a proof's envelope carries.
const PayloadType = "application/vnd.in-toto+json"

// maxEnvelopeBytes is far above any proof: a hundred thousand latencies are a few megabytes.
const maxEnvelopeBytes = 64 << 20

// dsseKey is a key as the envelope library wants it.
type dsseKey struct {
	Key
	private ed25519.PrivateKey
}

func (k dsseKey) KeyID() (string, error)   { return k.ID, nil }
func (k dsseKey) Public() crypto.PublicKey { return k.Key.Public }

func (k dsseKey) Sign(_ context.Context, data []byte) ([]byte, error) {
	return ed25519.Sign(k.private, data), nil
}

func (k dsseKey) Verify(_ context.Context, data, sig []byte) error {
	if !ed25519.Verify(k.Key.Public, data, sig) {
		return errors.New("the signature does not verify")
	}
	return nil
}

// seal signs a payload and returns the envelope's file.
func seal(ctx context.Context, s Signer, payload []byte) ([]byte, error) {
	signer, err := dsse.NewEnvelopeSigner(dsseKey(s))
	if err != nil {
		return nil, fault.New(fault.Internal, "sign a proof: %w", err)
	}
	e, err := signer.SignPayload(ctx, PayloadType, payload)
	if err != nil {
		return nil, fault.New(fault.Internal, "sign a proof: %w", err)
	}
	return encodeEnvelope(e)
}

func encodeEnvelope(e *dsse.Envelope) ([]byte, error) {
	raw, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return nil, fault.New(fault.Internal, "encode an envelope: %w", err)
	}
	return append(raw, '\n'), nil
}

// open returns the payload of an envelope and the key that signed it. What is no envelope is fault.Invalid, a key that the
// ring does not hold fault.Unauthenticated, and a signature that does not verify fault.Denied.
func open(ctx context.Context, raw []byte, ring Ring) ([]byte, Key, error) {
	e, err := parseEnvelope(raw)
	if err != nil {
		return nil, Key{}, err
	}
	k, ok := ring[e.Signatures[0].KeyID]
	if !ok {
		return nil, Key{}, fault.New(fault.Unauthenticated, "signed by key %.16s, which is not trusted here", e.Signatures[0].KeyID).
			WithHint("get the public key from whoever made the proof: cogctl keys trust FILE, or cogctl verify --key FILE")
	}
	verifier, err := dsse.NewEnvelopeVerifier(dsseKey{Key: k})
	if err != nil {
		return nil, k, fault.New(fault.Internal, "verify a proof: %w", err)
	}
	if _, err := verifier.Verify(ctx, e); err != nil {
		return nil, k, fault.New(fault.Denied, "the signature does not verify: the file was changed, or key %.16s did not sign it", k.ID).
			WithHint("get the file again from where it was made")
	}
	payload, err := e.DecodeB64Payload()
	if err != nil {
		return nil, k, fault.New(fault.Denied, "the payload cannot be decoded: %w", err)
	}
	return payload, k, nil
}

// parseEnvelope reads an envelope and takes it in one form only, the one it is written in: a signature covers the payload, so
// this is what keeps a changed bit elsewhere, such as in the base64 or in a member's name, from passing.
func parseEnvelope(raw []byte) (*dsse.Envelope, error) {
	if len(raw) > maxEnvelopeBytes {
		return nil, fault.New(fault.TooLarge, "not a proof: larger than %d MB", maxEnvelopeBytes>>20)
	}
	var e dsse.Envelope
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		return nil, notAProof(raw)
	}
	if e.PayloadType != PayloadType {
		return nil, fault.New(fault.Invalid, "not a proof: the envelope carries %q, not %s", e.PayloadType, PayloadType)
	}
	if len(e.Signatures) != 1 {
		return nil, fault.New(fault.Invalid, "not a proof: %d signatures, want one", len(e.Signatures))
	}
	canonical, err := encodeEnvelope(&e)
	if err != nil {
		return nil, err
	}
	if payload, err := e.DecodeB64Payload(); err != nil || !bytes.Equal(canonical, raw) || !canonicalBase64(e.Payload, payload) {
		return nil, fault.New(fault.Denied, "the envelope was changed: it is not in the form it was written in").WithHint("get the file again from where it was made")
	}
	if sig, err := decodeSignature(e.Signatures[0].Sig); err != nil || !canonicalBase64(e.Signatures[0].Sig, sig) {
		return nil, fault.New(fault.Denied, "the signature was changed: it is not in the form it was written in").WithHint("get the file again from where it was made")
	}
	return &e, nil
}

// notAProof says more of the files that people confuse with proofs.
func notAProof(raw []byte) error {
	var doc struct {
		Schema string `json:"schema"`
	}
	err := fault.New(fault.Invalid, "not a proof: not a DSSE envelope")
	if json.Unmarshal(raw, &doc) == nil && doc.Schema != "" {
		err = fault.New(fault.Invalid, "not a proof: a document of schema %.60s without a signature", doc.Schema)
	}
	return err.WithHint("cogctl prove phase0 writes proofs")
}

func decodeSignature(text string) ([]byte, error) { return base64.StdEncoding.DecodeString(text) }

// canonicalBase64 is false for texts that decode to the same bytes by another alphabet or by bits that decoders pass over.
func canonicalBase64(text string, decoded []byte) bool {
	return base64.StdEncoding.EncodeToString(decoded) == text
}
