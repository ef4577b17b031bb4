package platform

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/rotation"
)

// Names of the secrets that this machine's own environment makes for itself.
const (
	secretPrivateKey = "PRIVATE_KEY_PEM"
	secretKeyID      = "KID"
	secretAdminKey   = "ADMIN_API_KEY"
	secretGroqKey    = "GROQ_API_KEY" // the doubles of this machine take any key, and the platform passes over a provider without one
	secretOpenAIKey  = "OPENAI_API_KEY"
	secretFilesKey   = "FILES_SIGNING_KEY"
)

// LocalSecrets is the owner-only file of the local environment's secrets, by the names of their bindings.
type LocalSecrets map[string]string

func secretsPath(l Layout) string { return filepath.Join(l.Local, "secrets.json") }

// EnsureLocalSecrets reads the local environment's secrets and makes those that are missing.
func EnsureLocalSecrets(l Layout) (LocalSecrets, error) {
	secrets, err := readLocalSecrets(l)
	if err != nil {
		return nil, err
	}
	changed := false
	for _, name := range []string{secretAdminKey, secretGroqKey, secretOpenAIKey, secretFilesKey} {
		if secrets[name] == "" {
			secrets[name], changed = randomText(32), true
		}
	}
	if secrets[secretPrivateKey] == "" {
		key, err := rotation.NewKey()
		if err != nil {
			return nil, err
		}
		secrets[secretPrivateKey], changed = key.PEM(), true
	}
	key, err := readSigningKey(secrets[secretPrivateKey])
	if err != nil {
		return nil, err
	}
	if secrets[secretKeyID] != key.KID {
		secrets[secretKeyID], changed = key.KID, true
	}
	if !changed {
		return secrets, nil
	}
	return secrets, writeSecrets(l, secrets)
}

func readLocalSecrets(l Layout) (LocalSecrets, error) {
	secrets := LocalSecrets{}
	raw, err := os.ReadFile(secretsPath(l))
	if errors.Is(err, fs.ErrNotExist) {
		return secrets, nil
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, "read the local secrets: %w", err)
	}
	if err := json.Unmarshal(raw, &secrets); err != nil {
		return nil, fault.New(fault.Invalid, "%s is not a JSON object of strings", secretsPath(l)).WithHint("correct it, or remove it to have new keys made")
	}
	return secrets, nil
}

func writeSecrets(l Layout, secrets LocalSecrets) error {
	raw, err := json.MarshalIndent(secrets, "", "  ")
	if err != nil {
		return fault.New(fault.Internal, "encode the local secrets: %w", err)
	}
	return writeOwnerOnly(secretsPath(l), append(raw, '\n'))
}

// readSigningKey reads the key that a platform starts with.
func readSigningKey(text string) (rotation.Key, error) {
	key, err := rotation.ReadKey(text)
	if err != nil {
		return key, fault.New(fault.KindOf(err), "%w", err).WithHint("correct %s", secretPrivateKey)
	}
	return key, nil
}

// ensurePassphrase keeps what encrypts the local stack's state.
func ensurePassphrase(l Layout) (string, error) {
	path := filepath.Join(l.Local, "passphrase")
	raw, err := os.ReadFile(path)
	if err == nil && len(raw) > 0 {
		return string(raw), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fault.New(fault.Unavailable, "read the local state's passphrase: %w", err)
	}
	made := randomText(24)
	return made, writeOwnerOnly(path, []byte(made))
}

func randomText(bytes int) string {
	raw := make([]byte, bytes)
	_, _ = rand.Read(raw) // never fails since Go 1.24
	return base64.RawURLEncoding.EncodeToString(raw)
}

// writeOwnerOnly replaces a file in one step; nobody but its owner can ever read it, not even halfway.
func writeOwnerOnly(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fault.New(fault.Unavailable, "create %s: %w", filepath.Dir(path), err)
	}
	if err := renameio.WriteFile(path, data, 0o600); err != nil {
		return fault.New(fault.Unavailable, "write %s: %w", path, err)
	}
	return nil
}
