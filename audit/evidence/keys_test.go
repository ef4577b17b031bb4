package evidence_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/internal/fault"
)

func ensure(t *testing.T, v evidence.Vault) evidence.Signer {
	t.Helper()
	s, _, err := v.Ensure()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFirstUseMakesAKeyAndTrustsIt(t *testing.T) {
	t.Parallel()
	v := evidence.Vault{Dir: filepath.Join(t.TempDir(), "evidence")}
	if ring, err := v.Ring(); err != nil || len(ring) != 0 {
		t.Fatalf("got %v, %v", ring, err)
	}
	if _, err := v.Signer(); !errors.Is(err, fault.NotFound) {
		t.Fatalf("got %v", err)
	}
	s, made, err := v.Ensure()
	if err != nil || !made {
		t.Fatalf("made %v, %v", made, err)
	}
	for path, want := range map[string]os.FileMode{v.SigningKey(): 0o600, v.Dir: 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
	if ring, err := v.Ring(); err != nil || ring[s.ID].ID != s.ID || len(s.ID) != 64 {
		t.Errorf("got %v, %v", ring, err)
	}
	if again, made, err := v.Ensure(); err != nil || made || again.ID != s.ID {
		t.Errorf("a second use made another: %v", err)
	}
	if err := os.RemoveAll(v.KeysDir()); err != nil { // as if it had been killed before it got that far
		t.Fatal(err)
	}
	ensure(t, v)
	if ring, err := v.Ring(); err != nil || ring[s.ID].ID != s.ID {
		t.Errorf("the key in use is not trusted: %v, %v", ring, err)
	}
	if left, _ := filepath.Glob(filepath.Join(v.Dir, ".*")); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestSeveralFirstUsersShareOneKey(t *testing.T) {
	t.Parallel()
	v := evidence.Vault{Dir: filepath.Join(t.TempDir(), "evidence")}
	ids := make([]string, 16)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			s, _, err := v.Ensure()
			if ids[i] = s.ID; err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	ring, err := v.Ring()
	if err != nil || len(ring) != 1 {
		t.Errorf("%d keys are trusted, %v", len(ring), err)
	}
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("two keys: %v", ids)
		}
	}
}

func TestReplaceKeepsOldProofsVerifiable(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	v := evidence.Vault{Dir: filepath.Join(t.TempDir(), "evidence")}
	b.signer = ensure(t, v)
	proof := b.aiProof()
	s, err := v.Replace()
	if err != nil || s.ID == b.signer.ID {
		t.Fatalf("got %v, %v", s, err)
	}
	if now := ensure(t, v); now.ID != s.ID {
		t.Errorf("signs with %s", now.ID)
	}
	verifier := b.verifier()
	if verifier.Ring, err = v.Ring(); err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.Verify(t.Context(), proof); err != nil || len(verifier.Ring) != 2 {
		t.Errorf("%d keys, %v", len(verifier.Ring), err)
	}
}

func TestAPrivateKeyIsNeverShown(t *testing.T) {
	t.Parallel()
	v := evidence.Vault{Dir: filepath.Join(t.TempDir(), "evidence")}
	s := ensure(t, v)
	text, err := os.ReadFile(v.SigningKey())
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	seed := block.Bytes[len(block.Bytes)-32:]
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "signer", s)
	shown := fmt.Sprintf("%v %+v %#v %s", s, s, s, log.String())
	if strings.Contains(shown, fmt.Sprint(seed)[1:20]) || strings.Contains(shown, fmt.Sprintf("%#v", seed[:4])[7:20]) || !strings.Contains(shown, s.ID) {
		t.Errorf("shown: %s", shown)
	}
	if _, err := evidence.ParseKey(text); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "private key") || strings.Contains(err.Error(), "MC") {
		t.Errorf("got %v", err)
	}
	if err := os.Chmod(v.SigningKey(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Signer(); !errors.Is(err, fault.Denied) {
		t.Errorf("a key that others may read is used: %v", err)
	}
}

func TestKeysThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	private, _ := x509.MarshalPKCS8PrivateKey(rsaKey)
	public, _ := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	for name, text := range map[string][]byte{
		"nothing": nil, "a text": []byte("key"), "RSA": block("PRIVATE KEY", private), "a public key": block("PUBLIC KEY", public), "garbage": block("PRIVATE KEY", []byte("x")),
	} {
		if _, err := evidence.ParseSigner(text); !errors.Is(err, fault.Invalid) {
			t.Errorf("signer of %s: %v", name, err)
		}
	}
	for name, text := range map[string][]byte{
		"nothing": nil, "a text": []byte("key"), "RSA": block("PUBLIC KEY", public), "a certificate": block("CERTIFICATE", public), "garbage": block("PUBLIC KEY", []byte("x")),
	} {
		if _, err := evidence.ParseKey(text); !errors.Is(err, fault.Invalid) {
			t.Errorf("key of %s: %v", name, err)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bad.pem"), []byte("key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.LoadRing(dir); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "bad.pem") {
		t.Errorf("got %v", err)
	}
	if _, err := evidence.LoadRing(filepath.Join(dir, "nowhere")); !errors.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
}

func TestTrust(t *testing.T) {
	t.Parallel()
	v := evidence.Vault{Dir: filepath.Join(t.TempDir(), "evidence")}
	s, err := evidence.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	k := s.Key
	k.Name = "ci"
	for i, want := range []bool{true, false} {
		if added, err := v.Trust(k); err != nil || added != want {
			t.Fatalf("time %d: added %v, %v", i, added, err)
		}
	}
	if added, err := v.Trust(s.Key); err != nil || added {
		t.Errorf("trusted again without its name: %v, %v", added, err)
	}
	ring, err := v.Ring()
	if err != nil || ring[s.ID].Name != "ci" {
		t.Fatalf("got %v, %v", ring, err)
	}
	if found, err := ring.Find(strings.ToUpper(s.ID[:6])); err != nil || found.ID != s.ID {
		t.Errorf("got %v, %v", found, err)
	}
	if _, err := ring.Find("nope"); !errors.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
	k.Name = "a\n# b"
	if _, err := v.Trust(k); !errors.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
	text, err := ring[s.ID].PEM()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := evidence.ParseKey(text); err != nil || again.ID != s.ID || again.Name != "ci" {
		t.Errorf("got %v, %v", again, err)
	}
}

func FuzzParseKey(f *testing.F) {
	s, err := evidence.NewSigner()
	if err != nil {
		f.Fatal(err)
	}
	text, err := s.PEM()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("# name\n-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := evidence.ParseKey(text)
		if err != nil {
			return
		}
		again, err := k.PEM()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := evidence.ParseKey(again); err != nil || back.ID != k.ID || back.Name != k.Name {
			t.Errorf("%q is read as %v, then as %v: %v", text, k, back, err)
		}
	})
}
