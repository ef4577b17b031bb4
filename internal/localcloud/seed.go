package localcloud

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// tokenLength is what Cloudflare's own Terraform provider insists on: [A-Za-z0-9-_]{40}.
const tokenLength = 40

// seed gives the account its zones and its first token; what is there already stays as it is.
func seed(s *store.Store, cfg Config, token string) error {
	return s.Update(func(tx *store.Tx) error {
		for _, name := range cfg.Zones {
			if err := seedZone(tx, name, cfg.Now()); err != nil {
				return err
			}
		}
		sum := sha256.Sum256([]byte(token))
		return tx.Put(store.Tokens, hex.EncodeToString(sum[:]), store.Token{
			ID: identifier("token", cfg.AccountName), Name: "local operator", Status: "active", Permissions: []string{"*"},
		})
	})
}

func seedZone(tx *store.Tx, name string, now time.Time) error {
	id := identifier("zone", name)
	var have store.Zone
	err := tx.Get(store.Zones, id, &have)
	if err == nil || !errors.Is(err, fault.NotFound) {
		return err
	}
	return tx.Put(store.Zones, id, store.Zone{ID: id, Name: name, Status: "active", Created: now.UTC()})
}

// loadOrCreateToken keeps the operator's token in an owner-only file beside the account.
func loadOrCreateToken(dir string) (token, path string, err error) {
	path = filepath.Join(dir, "token")
	raw, err := os.ReadFile(path)
	if err == nil && len(raw) == tokenLength {
		return string(raw), path, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", "", fault.New(fault.Unavailable, "read the local API token: %w", err)
	}
	random := make([]byte, tokenLength*3/4)
	_, _ = rand.Read(random) // never fails since Go 1.24
	token = base64.RawURLEncoding.EncodeToString(random)
	return token, path, writeFile(path, []byte(token))
}
