package platform

import (
	"bytes"
	"context"
	"os/exec"
	"strings"

	"github.com/cognomega/edge/internal/fault"
)

// Commit is what the checkout is at; changed says that a tracked file is not as it was committed.
func Commit(ctx context.Context, l Layout) (commit string, changed bool, err error) {
	head, err := git(ctx, l.Root, "rev-parse", "HEAD")
	if err != nil {
		return "", false, err
	}
	status, err := git(ctx, l.Root, "status", "--porcelain", "--untracked-files=no")
	return strings.TrimSpace(head), strings.TrimSpace(status) != "", err
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fault.New(fault.Unavailable, "git %s: %s", args[0], firstOf(errs.String(), err)).WithHint("promote from a clone of the repository")
	}
	return out.String(), nil
}

func firstOf(text string, err error) string {
	if line, _, _ := strings.Cut(strings.TrimSpace(text), "\n"); line != "" {
		return line
	}
	return err.Error()
}
