package platform

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/rotation"
)

func TestLocalSecretsAreMadeOnceAndKept(t *testing.T) {
	t.Parallel()
	l := Layout{Local: filepath.Join(t.TempDir(), ".local")}
	first, err := EnsureLocalSecrets(l)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"PRIVATE_KEY_PEM", "ADMIN_API_KEY", "KID"} {
		if len(first[name]) < 20 {
			t.Errorf("%s is %q", name, first[name])
		}
	}
	info, err := os.Stat(filepath.Join(l.Local, "secrets.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v (%v), want owner only", info.Mode(), err)
	}
	again, err := EnsureLocalSecrets(l)
	if err != nil || again["PRIVATE_KEY_PEM"] != first["PRIVATE_KEY_PEM"] || again["KID"] != first["KID"] {
		t.Errorf("a second run made other keys (%v)", err)
	}
}

func TestAReplacedKeyGetsAnotherName(t *testing.T) {
	t.Parallel()
	l := Layout{Local: t.TempDir()}
	first, err := EnsureLocalSecrets(l)
	if err != nil {
		t.Fatal(err)
	}
	delete(first, "PRIVATE_KEY_PEM")
	if err := writeSecrets(l, first); err != nil {
		t.Fatal(err)
	}
	second, err := EnsureLocalSecrets(l)
	if err != nil || second["KID"] == "" || second["ADMIN_API_KEY"] != first["ADMIN_API_KEY"] {
		t.Fatalf("got %v, %v", second["KID"], err)
	}
	key, err := readSigningKey(second["PRIVATE_KEY_PEM"])
	if err != nil || key.KID != second["KID"] {
		t.Errorf("kid %q does not name the new key %q (%v)", second["KID"], key.KID, err)
	}
}

func TestASpoiledSecretsFileIsNamedAndKept(t *testing.T) {
	t.Parallel()
	l := Layout{Local: t.TempDir()}
	path := filepath.Join(l.Local, "secrets.json")
	if err := os.WriteFile(path, []byte(`["not an object"]`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := EnsureLocalSecrets(l)
	if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "secrets.json") {
		t.Fatalf("got %v", err)
	}
	if raw, _ := os.ReadFile(path); string(raw) != `["not an object"]` {
		t.Error("bad input was lost")
	}
}

func TestThePublishedKeySetHoldsNoPrivateMember(t *testing.T) {
	t.Parallel()
	key, err := rotation.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	pem := key.PEM()
	raw, err := firstSet(LocalSecrets{secretPrivateKey: pem, secretKeyID: "k1"})
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(raw, &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("%s: %v", raw, err)
	}
	for _, member := range []string{"d", "p", "q", "dp", "dq", "qi"} {
		if _, leaked := set.Keys[0][member]; leaked {
			t.Errorf("member %s of the private key is published", member)
		}
	}
	if set.Keys[0]["kid"] != "k1" || set.Keys[0]["alg"] != "RS256" || set.Keys[0]["use"] != "sig" {
		t.Errorf("got %v", set.Keys[0])
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: mustKey(t, pem)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte("payload"))
	if err != nil {
		t.Fatal(err)
	}
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(raw, &keys); err != nil {
		t.Fatal(err)
	}
	if _, err := signed.Verify(keys.Keys[0]); err != nil {
		t.Errorf("the published key does not verify what the private key signed: %v", err)
	}
}

func TestBadSigningKeysAreRefusedWithoutQuotingThem(t *testing.T) {
	t.Parallel()
	for name, pem := range map[string]string{
		"empty": "", "no PEM": "hunter2hunter2", "not PKCS#8": "-----BEGIN PRIVATE KEY-----\naHVudGVyMg==\n-----END PRIVATE KEY-----\n",
	} {
		_, err := readSigningKey(pem)
		if !errors.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
			t.Errorf("%s: got %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error quotes the key", name)
		}
	}
}
