package provider

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"

	"github.com/cognomega/edge/internal/fault"
)

// newSecretKey makes the key of one resource's digests.
func newSecretKey() (string, error) {
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return "", fault.New(fault.Internal, "make a digest key: %w", err)
	}
	return hex.EncodeToString(key[:]), nil
}

// secretDigest binds a value to its name too, so that equal values do not show as equal.
func secretDigest(key, name, value string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(name + "\x00" + value))
	return hex.EncodeToString(mac.Sum(nil))
}

func secretDigests(key string, secrets map[string]string) map[string]string {
	digests := make(map[string]string, len(secrets))
	for name, value := range secrets {
		digests[name] = secretDigest(key, name, value)
	}
	return digests
}

// sameSecret is false for a digest of unknown value, which is empty.
func sameSecret(key, name, value, digest string) bool {
	return subtle.ConstantTimeCompare([]byte(secretDigest(key, name, value)), []byte(digest)) == 1
}
