package jwks

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math/big"
	"slices"

	"github.com/cognomega/edge/internal/fault"
)

// Knowledge proves that somebody held a valid RS256 signature of a text, without giving the signature away: a proof may be
// published while the token it is about still lives. It is Guillou and Quisquater's proof of an e-th root (ISO/IEC 14888-2,
// GQ1), made non-interactive by Fiat and Shamir's hash.
type Knowledge struct {
	Challenge string   `json:"challenge"` // base64url, SHA-256 over key, text and commitments
	Answers   []string `json:"answers"`   // base64url, one a round
}

const (
	gqRounds   = 8     // of 16 bits each: a lie is found out but once in 2^128
	gqExponent = 65537 // each round's challenge must be below it, and it must be prime
	gqDomain   = "cognomega gq1 rs256 v1"
)

// provable is true for keys of the one exponent that the proof is sound for, which every key of ours has.
func provable(key *rsa.PublicKey) bool { return key.E == gqExponent && key.N.BitLen() >= 2048 }

// know makes the proof from a signature that verifies.
func know(key *rsa.PublicKey, text, signature []byte) (*Knowledge, error) {
	root := new(big.Int).SetBytes(signature)
	e := big.NewInt(gqExponent)
	if !provable(key) || new(big.Int).Exp(root, e, key.N).Cmp(padded(key, text)) != 0 {
		return nil, fault.New(fault.Invalid, "no proof of a signature that does not verify")
	}
	secrets, commitments := make([]*big.Int, gqRounds), make([]*big.Int, gqRounds)
	for i := range secrets {
		r, err := rand.Int(rand.Reader, new(big.Int).Sub(key.N, big.NewInt(1)))
		if err != nil {
			return nil, fault.New(fault.Internal, "draw a random number: %w", err)
		}
		secrets[i] = r.Add(r, big.NewInt(1))
		commitments[i] = new(big.Int).Exp(secrets[i], e, key.N)
	}
	challenge := gqChallenge(key, text, commitments)
	k := &Knowledge{Challenge: base64.RawURLEncoding.EncodeToString(challenge), Answers: make([]string, gqRounds)}
	for i, r := range secrets {
		answer := new(big.Int).Exp(root, round(challenge, i), key.N)
		answer.Mul(answer, r).Mod(answer, key.N)
		k.Answers[i] = base64.RawURLEncoding.EncodeToString(answer.FillBytes(make([]byte, key.Size())))
	}
	return k, nil
}

// holds verifies the proof.
func (k *Knowledge) holds(key *rsa.PublicKey, text []byte) bool {
	if k == nil || !provable(key) || len(k.Answers) != gqRounds {
		return false
	}
	challenge, err := base64.RawURLEncoding.Strict().DecodeString(k.Challenge)
	if err != nil || len(challenge) != sha256.Size {
		return false
	}
	inverse := new(big.Int).ModInverse(padded(key, text), key.N)
	if inverse == nil {
		return false
	}
	commitments := make([]*big.Int, gqRounds)
	for i, text := range k.Answers {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
		answer := new(big.Int).SetBytes(raw)
		if err != nil || len(raw) != key.Size() || answer.Sign() == 0 || answer.Cmp(key.N) >= 0 {
			return false
		}
		c := new(big.Int).Exp(answer, big.NewInt(gqExponent), key.N)
		c.Mul(c, new(big.Int).Exp(inverse, round(challenge, i), key.N))
		if commitments[i] = c.Mod(c, key.N); c.Sign() == 0 {
			return false
		}
	}
	return slices.Equal(challenge, gqChallenge(key, text, commitments))
}

// padded is the number whose e-th root is the signature: EMSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 9.2).
func padded(key *rsa.PublicKey, text []byte) *big.Int {
	sha256Prefix := []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}
	sum := sha256.Sum256(text)
	tail := slices.Concat([]byte{0}, sha256Prefix, sum[:])
	em := slices.Repeat([]byte{0xff}, key.Size())
	em[0], em[1] = 0, 1
	copy(em[len(em)-len(tail):], tail)
	return new(big.Int).SetBytes(em)
}

// gqChallenge binds everything the proof is about, each part with its length.
func gqChallenge(key *rsa.PublicKey, text []byte, commitments []*big.Int) []byte {
	h := sha256.New()
	part := func(b []byte) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b))))
		h.Write(b)
	}
	part([]byte(gqDomain))
	part(key.N.Bytes())
	part(text)
	for _, c := range commitments {
		part(c.FillBytes(make([]byte, key.Size())))
	}
	return h.Sum(nil)
}

// round is a round's 16 bits of the challenge.
func round(challenge []byte, i int) *big.Int {
	return new(big.Int).SetUint64(uint64(binary.BigEndian.Uint16(challenge[2*i:])))
}
