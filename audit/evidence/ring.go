package evidence

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cognomega/edge/internal/fault"
)

// Ring is the public keys whose proofs are believed, by id.
type Ring map[string]Key

// Keys lists a ring in the order of ids.
func (r Ring) Keys() []Key {
	keys := make([]Key, 0, len(r))
	for _, k := range r {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b Key) int { return strings.Compare(a.ID, b.ID) })
	return keys
}

// Find returns the one key whose id begins with prefix.
func (r Ring) Find(prefix string) (Key, error) {
	var found []Key
	for _, k := range r.Keys() {
		if strings.HasPrefix(k.ID, strings.ToLower(prefix)) {
			found = append(found, k)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Key{}, fault.New(fault.NotFound, "no trusted key has an id that begins with %s", prefix).WithHint("cogctl keys list")
	default:
		return Key{}, fault.New(fault.Invalid, "%d trusted keys have ids that begin with %s", len(found), prefix).WithHint("give more of the id: cogctl keys list")
	}
}

// LoadRing reads public keys: every *.pem file of a folder, or one file. A file that cannot be read fails it, so that nobody
// believes a key is trusted that is not.
func LoadRing(path string) (Ring, error) {
	files := []string{path}
	if info, err := os.Stat(path); err != nil {
		return nil, fault.New(fault.NotFound, "read trusted keys: %w", err).WithHint("cogctl keys create, or cogctl keys trust FILE")
	} else if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*.pem")); err != nil {
			return nil, fault.New(fault.Invalid, "list trusted keys of %s: %w", path, err)
		}
	}
	ring := Ring{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fault.New(fault.Unavailable, "read trusted key: %w", err)
		}
		k, err := ParseKey(text)
		if err != nil {
			return nil, fault.New(fault.Invalid, "trusted key %s: %w", file, err).WithHint("remove the file, or put the public key there again")
		}
		ring[k.ID] = k
	}
	return ring, nil
}

// Vault is the folder of one machine's evidence: its signing key, and the keys it trusts.
type Vault struct{ Dir string }

// SigningKey is the path of the private key; only its owner may read it.
func (v Vault) SigningKey() string { return filepath.Join(v.Dir, "signing-key.pem") }

// KeysDir is the folder of trusted public keys.
func (v Vault) KeysDir() string { return filepath.Join(v.Dir, "keys") }

// Ring is the keys that this machine trusts; none when it has no folder yet.
func (v Vault) Ring() (Ring, error) {
	if _, err := os.Stat(v.KeysDir()); errors.Is(err, fs.ErrNotExist) {
		return Ring{}, nil
	}
	return LoadRing(v.KeysDir())
}

// Signer reads the signing key; fault.NotFound when there is none. A key that others may read is refused.
func (v Vault) Signer() (Signer, error) {
	path := v.SigningKey()
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Signer{}, fault.New(fault.NotFound, "this machine has no evidence key").WithHint("cogctl keys create")
	}
	if err != nil {
		return Signer{}, fault.New(fault.Unavailable, "read the evidence key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return Signer{}, fault.New(fault.Denied, "%s may be read by others (mode %04o)", path, mode).
			WithHint("whoever read it can sign in your name: cogctl keys create --replace; chmod 600 keeps the old one")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Signer{}, fault.New(fault.Unavailable, "read the evidence key: %w", err)
	}
	s, err := ParseSigner(text)
	if err != nil {
		return Signer{}, fault.New(fault.Invalid, "%s: %w", path, err).WithHint("cogctl keys create --replace makes a new one; proofs of the old one stay verifiable")
	}
	return s, nil
}

// Ensure returns the signing key and makes one when there is none; of several at once, all get the same. Its public half is
// trusted before anything is signed with it, also when an earlier run was killed in between.
func (v Vault) Ensure() (s Signer, made bool, err error) {
	s, err = v.Signer()
	if errors.Is(err, fault.NotFound) {
		s, made, err = v.create()
	}
	if err != nil {
		return Signer{}, false, err
	}
	_, err = v.Trust(s.Key)
	return s, made, err
}

// create puts a new key in place unless another process was quicker.
func (v Vault) create() (Signer, bool, error) {
	s, err := NewSigner()
	if err != nil {
		return s, false, err
	}
	text, err := s.encode()
	if err != nil {
		return s, false, err
	}
	tmp, err := writeBeside(v.SigningKey(), text, 0o600)
	if err != nil {
		return s, false, err
	}
	defer os.Remove(tmp) // a second name of the key in place, or of one that nobody will use
	err = os.Link(tmp, v.SigningKey())
	if errors.Is(err, fs.ErrExist) {
		s, err = v.Signer()
		return s, false, err
	}
	if err != nil {
		return s, false, fault.New(fault.Unavailable, "keep the evidence key: %w", err)
	}
	return s, true, syncDir(v.Dir)
}

// Replace makes a new signing key. The old private key is gone then; its public half stays trusted, so that its proofs can
// still be verified.
func (v Vault) Replace() (Signer, error) {
	s, err := NewSigner()
	if err != nil {
		return s, err
	}
	text, err := s.encode()
	if err != nil {
		return s, err
	}
	if _, err := v.Trust(s.Key); err != nil {
		return s, err
	}
	return s, writeWhole(v.SigningKey(), text, 0o600)
}

// Trust adds a public key to the ring; false when it was there under the same name.
func (v Vault) Trust(k Key) (added bool, err error) {
	if k.Name != "" && !nameShape.MatchString(k.Name) {
		return false, fault.New(fault.Invalid, "name %q of a key: letters, digits, spaces and ._@/- only, 64 at most", k.Name)
	}
	text, err := k.PEM()
	if err != nil {
		return false, err
	}
	path := filepath.Join(v.KeysDir(), k.ID+".pem")
	if was, err := os.ReadFile(path); err == nil {
		if known, err := ParseKey(was); err == nil && known.ID == k.ID && (k.Name == "" || k.Name == known.Name) {
			return false, nil
		}
	}
	return true, writeWhole(path, text, 0o644)
}
