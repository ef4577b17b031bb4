package platform

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cognomega/edge/internal/fault"
)

// program puts a stacks program of three lines of shell where the real one would be.
func program(t *testing.T, script string) Layout {
	t.Helper()
	root := t.TempDir()
	l := layoutAt(root, "")
	for _, dir := range []string{l.Bin, filepath.Join(root, "stacks")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(l.Bin, "stacks"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestEventsArriveInOrderAndNoiseIsSkipped(t *testing.T) {
	t.Parallel()
	l := program(t, `echo '{"type":"step","name":"bundle"}'
echo 'a line of something else'
echo "{\"type\":\"plan\",\"op\":\"create\",\"name\":\"$*\"}"
printf '{"type":"summary","changes":{"create":1}}'`)
	var got []StackEvent
	err := StackRun{Layout: l, Env: "local", Verb: "preview", Refresh: true}.Run(context.Background(), func(e StackEvent) { got = append(got, e) })
	if err != nil || len(got) != 3 {
		t.Fatalf("got %v, %v", got, err)
	}
	if got[0].Name != "bundle" || got[1].Name != "preview --stack local --events jsonl --refresh" || got[2].Changes["create"] != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestTheProgramsOwnErrorIsKept(t *testing.T) {
	t.Parallel()
	l := program(t, `echo '{"type":"error","kind":"refused","message":"1 rule is violated","hint":"look"}'; exit 5`)
	err := StackRun{Layout: l, Env: "local", Verb: "up"}.Run(context.Background(), func(StackEvent) {})
	if !errors.Is(err, fault.Refused) || err.Error() != "1 rule is violated" || fault.HintOf(err) != "look" {
		t.Fatalf("got %v (hint %q)", err, fault.HintOf(err))
	}
}

func TestACrashShowsWhatTheProgramPrinted(t *testing.T) {
	t.Parallel()
	l := program(t, `echo 'panic: out of ideas' >&2; exit 2`)
	err := StackRun{Layout: l, Env: "local", Verb: "up"}.Run(context.Background(), func(StackEvent) {})
	if !errors.Is(err, fault.Internal) || !strings.Contains(err.Error(), "out of ideas") {
		t.Fatalf("got %v", err)
	}
}

func TestAProgramThatIsKilledIsNoDefectOfOurs(t *testing.T) {
	t.Parallel()
	l := program(t, `echo '{"type":"step","name":"bundle"}'; kill -9 $$`)
	err := StackRun{Layout: l, Env: "local", Verb: "up"}.Run(context.Background(), func(StackEvent) {})
	if !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "signal: killed") || !strings.Contains(fault.HintOf(err), "run it again") {
		t.Fatalf("got %v (hint %q)", err, fault.HintOf(err))
	}
}

func TestAMissingProgramNamesTheSetUp(t *testing.T) {
	t.Parallel()
	err := StackRun{Layout: layoutAt(t.TempDir(), ""), Env: "local", Verb: "up"}.Run(context.Background(), func(StackEvent) {})
	if fault.HintOf(err) != "make setup" {
		t.Fatalf("got %v", err)
	}
}
