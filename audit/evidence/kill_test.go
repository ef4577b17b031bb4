package evidence_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/audit/ai"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/internal/fault"
)

const killedIn = "EVIDENCE_TEST_KILLED_IN"

// TestWriteUntilKilled is the child of the next test: it signs and writes until it is killed.
func TestWriteUntilKilled(t *testing.T) { //nolint:paralleltest // it is no test by itself
	dir := os.Getenv(killedIn)
	if dir == "" {
		return
	}
	b := newBed(t)
	r, err := ai.Check().Run(t.Context(), b.target)
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := evidence.Vault{Dir: filepath.Join(dir, "evidence")}.Ensure()
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		o := b.origin()
		o.Signer, o.At = s, at().Add(time.Duration(i%300)*time.Second)
		if _, err := evidence.Keep(t.Context(), filepath.Join(dir, "proofs"), ai.Check(), b.target, o, r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestKilledWritersLeaveWholeProofsOnly(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	written := 0
	for round := range 5 {
		killAfter(ctx, t, dir, written+3+round)
		files, err := filepath.Glob(filepath.Join(dir, "proofs", "*.json"))
		if err != nil || len(files) <= written {
			t.Fatalf("round %d: %d files after %d, %v", round, len(files), written, err)
		}
		written = len(files)
	}
	ring, err := evidence.Vault{Dir: filepath.Join(dir, "evidence")}.Ring()
	if err != nil || len(ring) != 1 {
		t.Fatalf("%d keys, %v", len(ring), err)
	}
	v := b.verifier()
	v.Ring = ring
	files, _ := filepath.Glob(filepath.Join(dir, "proofs", "*.json"))
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err == nil {
			_, err = v.Verify(ctx, raw)
		}
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
	}
}

// killAfter runs the writer and kills it, at whatever it is doing, once there are so many files.
func killAfter(ctx context.Context, t *testing.T, dir string, files int) {
	t.Helper()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestWriteUntilKilled$")
	cmd.Env = append(os.Environ(), killedIn+"="+dir, "TMPDIR="+t.TempDir()) // what the killed process cannot tidy up
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		if found, _ := filepath.Glob(filepath.Join(dir, "proofs", "*.json")); len(found) >= files {
			break
		}
		<-tick.C
	}
	_ = cmd.Process.Kill()
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Exited() || ctx.Err() != nil {
		t.Fatalf("the writer ended by itself: %v %v", err, ctx.Err())
	}
}

func TestAFolderThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	r, err := ai.Check().Run(t.Context(), b.target)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(b.dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.Keep(t.Context(), file, ai.Check(), b.target, b.origin(), r); !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "file") {
		t.Errorf("got %v", err)
	}
}
