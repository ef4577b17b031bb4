package platform

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// StackEvent is one line that the stacks program writes: what it plans, does and finds.
type StackEvent struct {
	Type         string          `json:"type"` // step, plan, violation, drift, progress, diagnostic, summary, error
	Name         string          `json:"name,omitempty"`
	Msg          string          `json:"msg,omitempty"`
	Op           string          `json:"op,omitempty"`
	URN          string          `json:"urn,omitempty"`
	ResourceType string          `json:"resource_type,omitempty"`
	Diff         []string        `json:"diff,omitempty"`
	Rule         string          `json:"rule,omitempty"`
	Title        string          `json:"title,omitempty"`
	Message      string          `json:"message,omitempty"`
	Severity     string          `json:"severity,omitempty"`
	Kind         string          `json:"kind,omitempty"`
	ID           string          `json:"id,omitempty"`
	Hint         string          `json:"hint,omitempty"`
	Status       string          `json:"status,omitempty"` // of progress: start, done, failed
	Done         int             `json:"done,omitempty"`
	Total        int             `json:"total,omitempty"`
	Changes      map[string]int  `json:"changes,omitempty"`
	DurationMS   int64           `json:"duration_ms,omitempty"`
	Outputs      json.RawMessage `json:"outputs,omitempty"`
}

// StackRun is one run of the stacks program.
type StackRun struct {
	Layout      Layout
	Env         string
	Verb        string // preview, up, refresh, destroy
	Refresh     bool
	AllowDelete bool
	Release     string   // folder of a release to deploy as it is
	Args        []string // of a verb that takes others than these
	Stdin       []byte
	Environ     []string // what the program finds beside this process's own environment
}

// Run runs the stacks program and hands on each event as it happens. Cancelling ctx interrupts it in good order:
// the engine finishes the calls it has begun and saves its state.
func (r StackRun) Run(ctx context.Context, on func(StackEvent)) error {
	cmd := exec.CommandContext(ctx, filepath.Join(r.Layout.Bin, "stacks"), r.args()...)
	cmd.Dir, cmd.Env = filepath.Join(r.Layout.Root, "stacks"), append(os.Environ(), r.Environ...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = time.Minute
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(r.Stdin), &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fault.New(fault.Internal, "run the stack: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fault.New(fault.NotFound, "run the stack: %w", err).WithHint("make setup")
	}
	said := readEvents(bufio.NewReader(stdout), on)
	if err := cmd.Wait(); err != nil {
		return r.failure(ctx, err, said, stderr.String())
	}
	return nil
}

func (r StackRun) args() []string {
	if r.Args != nil {
		return append([]string{r.Verb}, r.Args...)
	}
	args := []string{r.Verb, "--stack", r.Env, "--events", "jsonl"}
	if r.Refresh {
		args = append(args, "--refresh")
	}
	if r.AllowDelete {
		args = append(args, "--allow-delete")
	}
	if r.Release != "" {
		args = append(args, "--release", r.Release)
	}
	return args
}

// readEvents hands on every event and keeps the last error that the program told.
func readEvents(lines *bufio.Reader, on func(StackEvent)) (failure *StackEvent) {
	for {
		line, err := lines.ReadBytes('\n')
		var e StackEvent
		if json.Unmarshal(line, &e) == nil && e.Type != "" {
			if e.Type == "error" {
				failure = &e
			}
			on(e)
		}
		if err != nil {
			return failure
		}
	}
}

// failure turns the program's own words into an error; what it printed beside them is kept when it said none.
func (r StackRun) failure(ctx context.Context, err error, said *StackEvent, stderr string) error {
	switch {
	case ctx.Err() != nil:
		return fault.New(fault.Unavailable, "%s of stack %s was interrupted", r.Verb, r.Env).WithHint("run it again: it continues where it stopped")
	case said != nil:
		return &fault.Error{Kind: fault.Kind(said.Kind), Msg: said.Message, Hint: said.Hint}
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == fault.ExitRefused {
		return fault.New(fault.Refused, "%s of stack %s is refused by policy", r.Verb, r.Env)
	}
	if exit != nil && !exit.Exited() {
		return fault.New(fault.Unavailable, "%s of stack %s was ended from outside: %w", r.Verb, r.Env, err).
			WithHint("somebody killed it, or this machine was out of memory; run it again: it continues where it stopped")
	}
	if len(stderr) > 2000 {
		stderr = "…" + stderr[len(stderr)-2000:]
	}
	return fault.New(fault.Internal, "%s of stack %s: %w\n%s", r.Verb, r.Env, err, stderr)
}
