package localpg

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/cognomega/edge/internal/fault"
)

// identity is who the server runs as. PostgreSQL refuses to run as root, so root's server runs as somebody else.
type identity struct {
	name     string
	uid, gid int // -1: files stay this process's own
	apply    func(*syscall.SysProcAttr)
	reserved bool // the files of a folder belong to uid and gid
}

// chooseIdentity tries, in order, the ways in which this process could run the server, and keeps the first that works.
func chooseIdentity(ctx context.Context, b Binaries, dir string) (identity, error) {
	if os.Geteuid() != 0 {
		return identity{name: "this user", uid: -1, gid: -1, apply: func(*syscall.SysProcAttr) {}}, nil
	}
	var tried []error
	for _, id := range rootIdentities(unprivileged()) {
		if err := id.probe(ctx, b, dir); err != nil {
			tried = append(tried, fault.New(fault.Denied, "as %s: %w", id.name, err))
			continue
		}
		return id, nil
	}
	return identity{}, fault.New(fault.Denied, "PostgreSQL does not run as root, and no other way works: %w", errors.Join(tried...)).
		WithHint("run it as an ordinary user, or set DATABASE_URL to a server of your own")
}

// unprivileged is the user that root's server runs as: initdb needs one that has a name.
func unprivileged() *user.User {
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil && u.Uid != "0" {
			return u
		}
	}
	return nil
}

// probe lets initdb look for the server's programs and files, from the folder: that fails when either may not be entered.
func (id identity) probe(ctx context.Context, b Binaries, dir string) error {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", `cd "$1" && exec "$0" --show --pgdata "$1/none"`, b.program("initdb"), dir)
	id.adopt(cmd)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fault.New(fault.Denied, "%w %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// command runs a program as the identity. It goes through a shell because a capability that is kept takes effect only with the
// first program that is executed: that one may enter the folder of the second.
func (id identity) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command("/bin/sh", append([]string{"-c", `exec "$0" "$@"`, program}, args...)...) //nolint:noctx // a server outlives the call that starts it
	id.adopt(cmd)
	return cmd
}

func (id identity) adopt(cmd *exec.Cmd) {
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	id.apply(cmd.SysProcAttr)
}

// own gives a folder of the server to whoever it runs as; a folder made by another way of running it is handed over whole.
func (id identity) own(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	uid, gid := 0, 0
	if id.reserved {
		uid, gid = id.uid, id.gid
	}
	if info, err := os.Lstat(dir); err == nil {
		if s, ok := info.Sys().(*syscall.Stat_t); ok && int(s.Uid) == uid {
			return nil
		}
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == dir {
			return nil
		}
		return os.Lchown(path, uid, gid)
	})
	// The folder itself goes last: it is what says that everything below was handed over.
	if err = errors.Join(err, os.Lchown(dir, uid, gid)); err != nil {
		return fault.New(fault.Denied, "hand %s to %s: %w", dir, id.name, err)
	}
	return nil
}

func numeric(u *user.User) (uid, gid int, ok bool) {
	uid, errU := strconv.Atoi(u.Uid)
	gid, errG := strconv.Atoi(u.Gid)
	return uid, gid, errU == nil && errG == nil
}
