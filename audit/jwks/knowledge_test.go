package jwks

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
)

func signedText(t testing.TB) (*rsa.PrivateKey, []byte, []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJndWVzdCJ9")
	sum := sha256.Sum256(text)
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return key, text, signature
}

func TestKnowledgeHoldsForItsTextAndKeyAlone(t *testing.T) {
	t.Parallel()
	key, text, signature := signedText(t)
	other, _, _ := signedText(t)
	k, err := know(&key.PublicKey, text, signature)
	if err != nil {
		t.Fatal(err)
	}
	if !k.holds(&key.PublicKey, text) {
		t.Fatal("an honest proof does not hold")
	}
	if k.holds(&other.PublicKey, text) || k.holds(&key.PublicKey, append([]byte("x"), text...)) || (*Knowledge)(nil).holds(&key.PublicKey, text) {
		t.Error("the proof holds for another key or text")
	}
	if raw, _ := json.Marshal(k); strings.Contains(string(raw), base64.RawURLEncoding.EncodeToString(signature)) {
		t.Error("the proof gives the signature away")
	}
	again, err := know(&key.PublicKey, text, signature)
	if err != nil || again.Challenge == k.Challenge {
		t.Error("two proofs of one signature must share nothing: their difference would be the signature")
	}
}

func TestKnowledgeNeedsTheSignature(t *testing.T) {
	t.Parallel()
	key, text, signature := signedText(t)
	signature[len(signature)-1] ^= 1
	if _, err := know(&key.PublicKey, text, signature); err == nil {
		t.Error("a proof was made without a signature")
	}
	// Whoever knows only the public key may choose answers first, and cannot choose the challenge then.
	forged := &Knowledge{Challenge: base64.RawURLEncoding.EncodeToString(make([]byte, sha256.Size)), Answers: make([]string, gqRounds)}
	for i := range forged.Answers {
		forged.Answers[i] = base64.RawURLEncoding.EncodeToString(big.NewInt(int64(i + 2)).FillBytes(make([]byte, key.Size())))
	}
	if forged.holds(&key.PublicKey, text) {
		t.Error("a simulated proof holds")
	}
	small := key.PublicKey
	small.E = 3
	if provable(&small) {
		t.Error("an exponent of 3 leaves a lie undiscovered once in three rounds")
	}
}

func TestKnowledgeRejectsEveryChange(t *testing.T) {
	t.Parallel()
	key, text, signature := signedText(t)
	k, err := know(&key.PublicKey, text, signature)
	if err != nil {
		t.Fatal(err)
	}
	for i := range k.Answers {
		for at := 0; at < len(k.Answers[i]); at += 41 {
			changed := Knowledge{k.Challenge, append([]string{}, k.Answers...)}
			raw := []byte(changed.Answers[i])
			raw[at] ^= 1
			changed.Answers[i] = string(raw)
			if changed.holds(&key.PublicKey, text) {
				t.Fatalf("answer %d with byte %d changed holds", i, at)
			}
		}
	}
	for at := range k.Challenge {
		raw := []byte(k.Challenge)
		raw[at] ^= 1
		if changed := (&Knowledge{string(raw), k.Answers}); changed.holds(&key.PublicKey, text) {
			t.Fatalf("challenge with byte %d changed holds", at)
		}
	}
	short := &Knowledge{k.Challenge, k.Answers[1:]}
	zero := &Knowledge{k.Challenge, append([]string{base64.RawURLEncoding.EncodeToString(make([]byte, key.Size()))}, k.Answers[1:]...)}
	if short.holds(&key.PublicKey, text) || zero.holds(&key.PublicKey, text) {
		t.Error("a round left out or answered with zero holds")
	}
}

func TestPaddingIsThatOfTheStandardLibrary(t *testing.T) {
	t.Parallel()
	key, text, signature := signedText(t)
	if got := new(big.Int).Exp(new(big.Int).SetBytes(signature), big.NewInt(int64(key.E)), key.N); got.Cmp(padded(&key.PublicKey, text)) != 0 {
		t.Error("the padding differs from crypto/rsa's")
	}
}
