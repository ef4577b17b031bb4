//go:build !linux

package nonblock

import (
	"net"
	"syscall"
)

// Wrap leaves a socket as it is: elsewhere there is no system call but through the C library, whose way of calling is Go's own matter.
func Wrap(c net.Conn) net.Conn { return c }

// Quiet says of a socket whether the other side has neither ended it nor sent what was not read yet.
func Quiet(fd uintptr) bool {
	var one [1]byte
	n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return n < 0 && (err == syscall.EAGAIN || err == syscall.EWOULDBLOCK)
}
