package snapshot_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/audit/snapshot"
	"github.com/cognomega/edge/internal/fault"
)

func file(t testing.TB, s *snapshot.Snapshot) []byte {
	t.Helper()
	raw, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestTheSameAccountGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	b := newBed(t).enrich()
	first := b.collect()
	target := b.target()
	target.Now = func() time.Time { return at().Add(time.Hour) }
	later, err := snapshot.Collect(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if first.Digest != later.Digest || !strings.HasPrefix(first.Digest, "sha256:") || len(first.Digest) != len("sha256:")+64 {
		t.Errorf("digests %s and %s", first.Digest, later.Digest)
	}
	if !bytes.Equal(file(t, first), file(t, b.collect())) {
		t.Error("the files differ")
	}
	again, err := snapshot.Parse(file(t, later))
	if err != nil || !bytes.Equal(file(t, again), file(t, later)) {
		t.Errorf("a file does not survive being read: %v", err)
	}
	if d := snapshot.Diff(first, again, nil); len(d.Changes) != 0 {
		t.Errorf("%q", lines(d.Changes))
	}
}

func TestNoSecretIsInAFile(t *testing.T) {
	t.Parallel()
	b := newBed(t).enrich()
	raw := string(file(t, b.collect()))
	for _, value := range []string{plantedSecret, plantedPassword} {
		if strings.Contains(raw, value) {
			t.Errorf("%s is in\n%s", value, raw)
		}
	}
	for _, kept := range []string{`"PRIVATE_KEY_PEM"`, `"ADMIN_API_KEY"`, `"text": "postgres://edge:[scrubbed]@db.example.test/main"`, `"text": "[scrubbed]"`} {
		if !strings.Contains(raw, kept) {
			t.Errorf("%s is missing", kept)
		}
	}
}

// TestAChangedFileIsRefused flips every bit of a file's digest and content; only the time may be another.
func TestAChangedFileIsRefused(t *testing.T) {
	t.Parallel()
	raw := snapshot.Resealed([]byte(small))
	if _, err := snapshot.Parse(raw); err != nil {
		t.Fatal(err)
	}
	when := bytes.Index(raw, []byte(`"at": "`)) + len(`"at": "`)
	for i := range raw {
		if i >= when && i < when+len(time.RFC3339) || raw[i] == ' ' || raw[i] == '\n' {
			continue // the time, and the space between tokens
		}
		for bit := range 8 {
			changed := bytes.Clone(raw)
			changed[i] ^= 1 << bit
			if _, err := snapshot.Parse(changed); err == nil {
				t.Fatalf("byte %d as %q is taken for %q", i, changed[i], raw[i])
			} else if kind := fault.KindOf(err); kind != fault.Invalid && kind != fault.Finding {
				t.Fatalf("byte %d: %v", i, err)
			}
		}
	}
}

func TestWhatIsNoSnapshot(t *testing.T) {
	t.Parallel()
	good := string(file(t, newBed(t).collect()))
	tests := map[string]struct {
		file string
		kind fault.Kind
		says string
	}{
		"empty":            {" \n", fault.Invalid, "empty"},
		"cut off":          {good[:len(good)/2], fault.Invalid, "ends too early"},
		"cut in a word":    {good[:strings.Index(good, "true")+2], fault.Invalid, "ends too early"},
		"two of them":      {good + good, fault.Invalid, "follows"},
		"text":             {"hello", fault.Invalid, "not a snapshot"},
		"another document": {`{"schema":"cogctl/routes.capture/v1"}`, fault.Invalid, "routes.capture"},
		"nothing in it":    {`{"schema":"cogctl/env.snapshot/v1"}`, fault.Invalid, "section workers is missing"},
		"a section less":   {strings.Replace(good, `"custom_domains": {},`, "", 1), fault.Invalid, "section custom_domains is missing"},
		"a field more":     {strings.Replace(good, `"custom_domains": {},`, `"custom_domains": {}, "caches": {},`, 1), fault.Invalid, "caches"},
		"a key twice":      {strings.Replace(good, `"custom_domains": {},`, `"custom_domains": {}, "custom_domains": {},`, 1), fault.Finding, "twice"},
		"other spelling":   {strings.Replace(good, `"custom_domains": {},`, `"CUSTOM_DOMAINS": {},`, 1), fault.Finding, "another form"},
		"other route":      {strings.Replace(good, `"worker": "cognomega-api"`, `"worker": "auth-svc"`, 1), fault.Finding, "was changed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.file == good {
				t.Fatal("nothing was changed")
			}
			_, err := snapshot.Parse([]byte(tt.file))
			if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	s, dir := newBed(t).collect(), filepath.Join(t.TempDir(), "deep", "snapshots")
	if entries, err := snapshot.List(dir); err != nil || len(entries) != 0 {
		t.Fatalf("%v %v", entries, err)
	}
	for _, want := range []string{"2026-11-22T18-40-11Z-local.json", "2026-11-22T18-40-11Z-local-2.json", "2026-11-22T18-40-11Z-local-3.json"} {
		path, err := s.Keep(dir)
		if err != nil || filepath.Base(path) != want {
			t.Fatalf("kept as %s, %v", path, err)
		}
	}
	if err := s.Write(filepath.Join(dir, "2026-11-22T18-40-11Z-local.json")); !errors.Is(err, fault.Conflict) {
		t.Errorf("a snapshot was written over: %v", err)
	}
	if err := s.Write(filepath.Join(dir, "none", "x.json")); !errors.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "broken.json"), file(t, s)[:100], 0o600); err != nil {
		t.Fatal(err)
	}
	entries, err := snapshot.List(dir)
	if err != nil || len(entries) != 4 {
		t.Fatalf("%d entries, %v: nothing but files that were asked for may be left", len(entries), err)
	}
	if last := entries[3]; filepath.Base(last.File) != "broken.json" || last.Problem == "" || entries[0].Holds["workers"] != 10 {
		t.Errorf("%+v", entries)
	}
	all, err := os.ReadDir(dir)
	if err != nil || len(all) != 4 {
		t.Errorf("%d files, %v", len(all), err)
	}
}

const small = `{"schema":"cogctl/env.snapshot/v1","digest":"sha256:0","at":"2026-11-22T18:40:11Z","env":"a","account_id":"b","zone":{"id":"","name":""},"settings":{},` +
	`"content":{"workers":{"w":{"serving":[],"bindings":{"B":{"type":"json","json":[1e3,{"a":null}]}},"secrets":["S"]}},"routes":{},"custom_domains":{},"dns":{"A a":{"1":{}}},` +
	`"kv_namespaces":{},"queues":{},"r2_buckets":{},"hyperdrives":{}},"unseen":[]}`

func FuzzSnapshotFile(f *testing.F) {
	f.Add([]byte(`{"schema":"cogctl/env.snapshot/v1"}`))
	f.Add([]byte(small))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := snapshot.Parse(snapshot.Resealed(raw))
		if err != nil {
			return
		}
		again, err := snapshot.Parse(file(t, s))
		if err != nil || again.Digest != s.Digest {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if d := snapshot.Diff(s, again, nil); len(d.Changes)+len(d.Expected) != 0 {
			t.Fatalf("%+v", d)
		}
	})
}

// FuzzSnapshotDiff takes two contents for what they are, and sees that exchanging them mirrors the difference.
func FuzzSnapshotDiff(f *testing.F) {
	f.Add([]byte(`{"routes":{"a.test/*":{"id":"1","worker":"x"}}}`), []byte(`{"routes":{"b.test/*":{"id":"1","worker":"x"}}}`), "a.test", "b.test")
	f.Add([]byte(`{"workers":{"w":{"serving":[{"percentage":100}],"bindings":{"B":{"type":"json","json":{"id":[1,"x"]}}},"secrets":["A"]}}}`),
		[]byte(`{"workers":{"w":{"serving":[],"bindings":{"B":{"type":"plain_text","text":"https://a.test/"}},"secrets":["B"]}}}`), "a.test", "a.test")
	f.Add([]byte(`{"kv_namespaces":{"":{}}}`), []byte(`{"kv_namespaces":{"0":{}}}`), "", "0")
	f.Add([]byte(`{"kv_namespaces":{"t":{"id":"1"},"u":{"id":"1"}}}`), []byte(`{"kv_namespaces":{"v":{"id":"1"}}}`), "", "")
	f.Fuzz(func(t *testing.T, one, other []byte, hostA, hostB string) {
		a, errA := snapshot.OfContent(one, "x", hostA)
		b, errB := snapshot.OfContent(other, "y", hostB)
		if errA != nil || errB != nil {
			return
		}
		mirrored(t, a, b)
	})
}
