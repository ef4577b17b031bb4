package release_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/release"
)

func input() release.Input {
	return release.Input{
		ContractDigest: "abc", Main: "worker.js", Contract: map[string][]byte{"envs.json": []byte(`{"local":{}}`)},
		Workers: map[string]map[string][]byte{"auth-svc": {"worker.js": []byte("export default {}"), "worker.js.map": []byte(`{"version":3}`)}},
	}
}

func keep(t *testing.T) release.Release {
	t.Helper()
	r, err := release.Keep(t.TempDir(), input())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatIsKeptIsReadBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := release.Keep(dir, input())
	if err != nil {
		t.Fatal(err)
	}
	again, err := release.Keep(dir, input())
	if err != nil || again.ID != first.ID {
		t.Errorf("the same release twice: %s, %s, %v", first.ID, again.ID, err)
	}
	got, err := release.Open(first.Dir)
	if err != nil || got.ID != filepath.Base(first.Dir) || got.Contract != "abc" || len(got.Modules("auth-svc")) != 2 || len(got.Workers["auth-svc"]) != 64 {
		t.Errorf("%+v, %v", got, err)
	}
	raw, err := os.ReadFile(got.Path("auth-svc", "worker.js"))
	if err != nil || string(raw) != "export default {}" {
		t.Errorf("%q, %v", raw, err)
	}
	if text, err := fs.ReadFile(got.ContractFS(), "envs.json"); err != nil || string(text) != `{"local":{}}` {
		t.Errorf("%q, %v", text, err)
	}
	other := input()
	other.Workers["auth-svc"]["worker.js"] = []byte("export default { }")
	if changed, err := release.Keep(dir, other); err != nil || changed.ID == first.ID || changed.Workers["auth-svc"] == first.Workers["auth-svc"] {
		t.Errorf("another bundle has the same digest: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".writing-*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Every bit of every file counts, and so does every file.
func TestAReleaseThatWasChangedIsRefused(t *testing.T) {
	t.Parallel()
	r := keep(t)
	files := []string{"release.json"}
	for name := range r.Files {
		files = append(files, name)
	}
	if len(files) != 4 {
		t.Fatalf("files %v", files)
	}
	for _, name := range files {
		path := filepath.Join(r.Dir, name)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := range raw {
			changed := append([]byte{}, raw...)
			changed[at] ^= 1
			must(t, os.WriteFile(path, changed, 0o600))
			if _, err := release.Open(r.Dir); err == nil {
				t.Fatalf("%s with a bit of byte %d flipped is opened", name, at)
			}
		}
		must(t, os.Remove(path))
		if _, err := release.Open(r.Dir); !errors.Is(err, fault.Denied) && !errors.Is(err, fault.NotFound) {
			t.Errorf("without %s: %v", name, err)
		}
		must(t, os.WriteFile(path, raw, 0o600))
	}
	if _, err := release.Open(r.Dir); err != nil {
		t.Errorf("as it was: %v", err)
	}
	moved := filepath.Join(filepath.Dir(r.Dir), "another-name")
	must(t, os.Rename(r.Dir, moved))
	if _, err := release.Open(moved); !errors.Is(err, fault.Denied) {
		t.Errorf("under another name: %v", err)
	}
}

// A release that was cut short is kept anew, not believed.
func TestATornReleaseIsKeptAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, err := release.Keep(dir, input())
	if err != nil {
		t.Fatal(err)
	}
	must(t, os.Remove(r.Path("auth-svc", "worker.js")))
	if _, err := release.Keep(dir, input()); err != nil {
		t.Fatal(err)
	}
	if _, err := release.Open(r.Dir); err != nil {
		t.Error(err)
	}
}

func TestAManifestNamesNoFileOutside(t *testing.T) {
	t.Parallel()
	in := input()
	in.Workers["auth-svc"]["../../../../escape"] = []byte("x")
	dir := t.TempDir()
	if _, err := release.Keep(filepath.Join(dir, "a", "b"), in); !errors.Is(err, fault.Invalid) {
		t.Errorf("a release with a path that leads out of it is kept: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("written: %v, %v", left, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte(`{"schema":"cognomega/release/v1"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "release.json"), raw, 0o600))
		if r, err := release.Open(dir); err == nil {
			t.Errorf("%q is opened: %+v", raw, r)
		}
	})
}
