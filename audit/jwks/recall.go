package jwks

import (
	"encoding/json"
	"time"

	"github.com/cognomega/edge/audit"
)

// Sighting is which keys were published at a time, and which of them signed a token made then.
type Sighting struct {
	At     time.Time `json:"at"`
	Keys   []Key     `json:"keys"`
	Signer string    `json:"signer_kid,omitempty"`
}

// Recall reads a sighting from the evidence of a proof that was verified.
func Recall(raw []byte) (Sighting, error) {
	var e Evidence
	if err := json.Unmarshal(raw, &e); err != nil {
		return Sighting{}, audit.Misfit("it cannot be read: %v", err)
	}
	s := Sighting{At: e.At, Keys: []Key{}}
	if set, err := e.JWKS.set(); err == nil {
		s.Keys = set.Keys
	}
	var header struct {
		KID string `json:"kid"`
	}
	if e.Token != nil && e.Token.Signed != nil && json.Unmarshal([]byte(e.Token.Header), &header) == nil {
		s.Signer = header.KID
	}
	return s, nil
}
