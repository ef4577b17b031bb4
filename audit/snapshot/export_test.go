package snapshot

import "encoding/json"

// Resealed is a file with the digest that its content has, so that the fuzzer gets past it; anything else comes back as it is.
func Resealed(raw []byte) []byte {
	s, err := decode(raw)
	if err != nil || s.seal() != nil {
		return raw
	}
	sealed, err := s.Encode()
	if err != nil {
		return raw
	}
	return sealed
}

// OfContent is a snapshot of an environment that consists of what the JSON says.
func OfContent(raw []byte, env, host string) (*Snapshot, error) {
	s := &Snapshot{Env: env, Account: env, Settings: map[string]string{"hostname": host}}
	return s, json.Unmarshal(raw, &s.Content)
}
