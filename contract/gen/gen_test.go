package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cognomega/edge/contract"
)

func TestGeneratedFilesAreFresh(t *testing.T) {
	t.Parallel()
	if err := run("", true); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyNamesWhatIsStale(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := run(root, true); err == nil {
		t.Fatal("an empty tree is fresh")
	}
	if err := run(root, false); err != nil {
		t.Fatal(err)
	}
	if err := run(root, true); err != nil {
		t.Fatalf("just written: %v", err)
	}
	path := filepath.Join(root, "workers", "auth-svc", "src", "env.gen.d.ts")
	if err := os.WriteFile(path, []byte("export interface Env {}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	gone := filepath.Join(root, "workers", "gone", "src", "env.gen.d.ts")
	if err := os.MkdirAll(filepath.Dir(gone), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(gone, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	err := run(root, true)
	if err == nil || !strings.Contains(err.Error(), "[workers/gone/src/env.gen.d.ts workers/auth-svc/src/env.gen.d.ts]") {
		t.Fatalf("got %v", err)
	}
	if err := run(root, false); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(gone); !os.IsNotExist(err) {
		t.Errorf("the file of a Worker that is gone is still there: %v", err)
	}
}

func TestEveryKindOfBindingHasAType(t *testing.T) {
	t.Parallel()
	for _, kind := range []contract.BindingKind{
		contract.BindKV, contract.BindR2, contract.BindService, contract.BindVar, contract.BindAI, contract.BindSecret, contract.BindQueue, contract.BindHyperdrive, contract.BindVersion, contract.BindObject,
	} {
		if types[kind] == "" {
			t.Errorf("no TypeScript type for %s", kind)
		}
	}
}
