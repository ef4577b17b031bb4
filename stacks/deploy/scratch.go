package deploy

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/cognomega/edge/internal/fault"
)

// scratch is a stack of the same name with the given state, in a backend that is thrown away: what a preview may look at without writing.
func (r *run) scratch(ctx context.Context, s *state) (*workspaceDir, error) {
	tmp, err := os.MkdirTemp("", "stacks-preview-")
	if err != nil {
		return nil, fault.New(fault.Unavailable, "create a scratch folder: %w", err)
	}
	w := *r.space
	w.dir, w.release = filepath.Join(tmp, "work"), func() { _ = os.RemoveAll(tmp) }
	err = os.MkdirAll(w.dir, 0o700)
	if err == nil {
		w.salt = savedSalt(filepath.Join(r.space.dir, "Pulumi."+r.Stack+".yaml"))
		w.stack, err = r.open(ctx, &w, "file://"+tmp+"?metadata=skip", w.dir)
	}
	if err == nil {
		err = w.importState(ctx, s)
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return &w, nil
}

// cli runs the Pulumi CLI itself, for what the Automation API would do by decrypting the state.
func (w *workspaceDir) cli(ctx context.Context, stdin string, args ...string) (string, error) {
	env := maps.Clone(w.stack.Workspace().GetEnvVars())
	env["PULUMI_HOME"] = w.stack.Workspace().PulumiHome()
	var list []string
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	var in *strings.Reader
	if stdin != "" {
		in = strings.NewReader(stdin)
	}
	stdout, stderr, _, err := w.runCLI(ctx, in, list, args)
	if err != nil {
		return "", engineFault("pulumi "+strings.Join(args[:min(2, len(args))], " "), errors.New(strings.TrimSpace(stderr)))
	}
	return stdout, nil
}

func (w *workspaceDir) runCLI(ctx context.Context, in *strings.Reader, env, args []string) (string, string, int, error) {
	args = append(args, "--stack", w.stack.Name())
	if in == nil {
		return w.command.Run(ctx, w.dir, nil, nil, nil, env, args...)
	}
	return w.command.Run(ctx, w.dir, in, nil, nil, env, args...)
}
