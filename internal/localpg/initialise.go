package localpg

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/cognomega/edge/internal/fault"
)

// lock lets one process at a time start a server on a folder.
func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "lock the database's folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fault.New(fault.Conflict, "another process runs or starts the server of %s", dir)
	}
	return func() { _ = f.Close() }, nil
}

// initialise makes the password and the cluster, unless they are there. The cluster is made aside and renamed: a program that is
// killed halfway leaves nothing that looks like one.
func (l *launch) initialise(ctx context.Context) error {
	data := dataPath(l.cfg.Dir)
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err == nil {
		return errors.Join(l.readPassword(), l.id.own(data))
	}
	if _, err := os.Stat(data); err == nil {
		return fault.New(fault.Invalid, "%s is not a database cluster", data).WithHint("move it away, and start again")
	}
	raw := make([]byte, 24)
	_, _ = rand.Read(raw) // never fails since Go 1.24
	l.password = base64.RawURLEncoding.EncodeToString(raw)
	if err := os.WriteFile(passwordPath(l.cfg.Dir), []byte(l.password), 0o600); err != nil {
		return fault.New(fault.Unavailable, "keep the database's password: %w", err)
	}
	return l.initdb(ctx, data)
}

func (l *launch) readPassword() error {
	raw, err := os.ReadFile(passwordPath(l.cfg.Dir))
	if err != nil {
		return fault.New(fault.Unavailable, "read the database's password: %w", err)
	}
	l.password = string(raw)
	return nil
}

func (l *launch) initdb(ctx context.Context, data string) error {
	made, err := l.folderAside(data)
	if err != nil {
		return err
	}
	given := filepath.Join(l.cfg.Dir, "password.new")
	defer os.Remove(given)
	if err := errors.Join(os.WriteFile(given, []byte(l.password+"\n"), 0o600)); err != nil {
		return fault.New(fault.Unavailable, "make the database's folder: %w", err)
	}
	if err := errors.Join(l.id.own(made), l.id.own(given)); err != nil {
		return err
	}
	cmd := l.command("initdb", "-D", made, "-U", superuser, "--pwfile", given, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "-k")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	_, exited, err := spawn(cmd, true)
	if err != nil {
		return fault.New(fault.Unavailable, "make the database cluster: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	err = <-exited
	stop()
	if err != nil {
		return fault.New(fault.Unavailable, "make the database cluster: %w\n%s", err, strings.TrimSpace(out.String()))
	}
	if err := os.Rename(made, data); err != nil {
		return fault.New(fault.Unavailable, "keep the database cluster: %w", err)
	}
	return nil
}

// folderAside makes the folder of a cluster to be, with a name of its own: what a start that was killed left running may still
// write into another. What is left of those goes when it can.
func (l *launch) folderAside(data string) (string, error) {
	halves, _ := filepath.Glob(data + ".new*")
	for _, half := range halves {
		_ = os.RemoveAll(half)
	}
	made, err := os.MkdirTemp(l.cfg.Dir, filepath.Base(data)+".new-")
	if err != nil {
		return "", fault.New(fault.Unavailable, "make the database's folder: %w", err)
	}
	return made, nil
}

// maxSocketPath is the least of the systems' limits on a unix socket's path (macOS: 104 bytes with the final zero).
const maxSocketPath = 103

// socketDir is where the unix socket lives: below the server's folder, or below the system's temporary folder when that path is
// too long for a socket.
func (l launch) socketDir() (string, error) {
	dir := filepath.Join(l.cfg.Dir, "run")
	if len(dir)+len("/.s.PGSQL.65535") > maxSocketPath {
		dir = filepath.Join(os.TempDir(), "localpg-"+shortHash(l.cfg.Dir))
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fault.New(fault.Unavailable, "make the socket's folder: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fault.New(fault.Unavailable, "look at the socket's folder: %w", err)
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !isOurs(info) {
		return "", fault.New(fault.Denied, "%s is somebody else's", dir).WithHint("remove it: the server's socket must lie in a folder of its own")
	}
	return dir, l.id.own(dir)
}

// isOurs tells whether a file belongs to this user or, when that is root, to whom root's servers run as.
func isOurs(info os.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	if int(s.Uid) == os.Geteuid() {
		return true
	}
	u := unprivileged()
	return os.Geteuid() == 0 && u != nil && u.Uid == strconv.Itoa(int(s.Uid))
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
