package runtime

import (
	"os"
	"syscall"

	"github.com/cognomega/edge/internal/fault"
)

// listenUnix makes a listening socket that child processes inherit. It stays open here while they come and go, so a connection
// made in between waits in its queue instead of being refused.
func listenUnix(path string) (*os.File, error) {
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, fault.New(fault.Internal, "make a socket: %w", err)
	}
	if err = syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err == nil {
		err = syscall.Listen(fd, 1024)
	}
	if err != nil {
		_ = syscall.Close(fd)
		return nil, fault.New(fault.Internal, "listen on %s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// relink points the stable path link at target in one step: a connect finds either the old or the new.
func relink(target, link string) error {
	next := link + ".next.sock"
	_ = os.Remove(next)
	if err := os.Symlink(target, next); err != nil {
		return fault.New(fault.Internal, "link socket: %w", err)
	}
	if err := os.Rename(next, link); err != nil {
		return fault.New(fault.Internal, "switch socket: %w", err)
	}
	return nil
}
