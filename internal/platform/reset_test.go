package platform

import (
	"os"
	"path/filepath"
	"testing"
)

func TestResetKeepsTheEvidenceKeys(t *testing.T) {
	t.Parallel()
	l := Layout{Local: filepath.Join(t.TempDir(), ".local")}
	if err := ResetLocal(t.Context(), l); err != nil {
		t.Fatalf("nothing to forget is no error: %v", err)
	}
	for _, name := range []string{"cloud.db", "blobs/a", "evidence/signing-key.pem", "evidence/keys/k.pem"} {
		path := filepath.Join(l.Local, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := ResetLocal(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(l.Local)
	if err != nil || len(left) != 1 || left[0].Name() != "evidence" {
		t.Errorf("left %v, %v", left, err)
	}
	if raw, err := os.ReadFile(filepath.Join(l.Local, "evidence", "keys", "k.pem")); err != nil || string(raw) != "evidence/keys/k.pem" {
		t.Errorf("%q, %v", raw, err)
	}
}
