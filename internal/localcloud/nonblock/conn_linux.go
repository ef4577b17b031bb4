package nonblock

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// conn is a socket that waits for data and for room as every socket of the net package does, and makes its system calls itself.
type conn struct {
	net.Conn
	raw  syscall.RawConn
	r, w transfer
}

// Wrap has a socket of the net package be read and written without a word to the scheduler, and leaves anything else as it is.
//
// Before a system call that may block, Go marks its processor as free to be taken, and after it has to win it back; a monitor wakes up
// for that and looks around every 20 µs for as long as there are such calls. Go's sockets never block, so all of that is for nothing:
// measured, it is half of the processor time of a small request (decision 0026).
func Wrap(c net.Conn) net.Conn {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return c
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return c
	}
	w := &conn{Conn: c, raw: raw}
	w.r.open(syscall.SYS_READ, raw.Read)
	w.w.open(syscall.SYS_WRITE, raw.Write)
	return w
}

// SyscallConn is the socket's own.
func (c *conn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }

// CloseWrite ends what is sent, and lets the other side go on.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.failed("close", syscall.ENOTSUP)
}

func (c *conn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	n, err := c.r.some(b)
	if err != nil {
		return 0, c.failed("read", err)
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Write writes all of b before another Write begins.
func (c *conn) Write(b []byte) (int, error) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	done := 0
	for done < len(b) {
		n, err := c.w.some(b[done:])
		if err != nil {
			return done, c.failed("write", err)
		}
		done += n
	}
	return done, nil
}

// failed words an error as the net package does.
func (c *conn) failed(op string, err error) error {
	if already, ok := errors.AsType[*net.OpError](err); ok {
		err = already.Err
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		err = os.NewSyscallError(op, errno)
	}
	here := c.LocalAddr()
	return &net.OpError{Op: op, Net: here.Network(), Source: here, Addr: c.RemoteAddr(), Err: err}
}

// transfer is one direction of a socket. What it hands to the descriptor is made once for all its uses.
type transfer struct {
	mu    sync.Mutex
	call  uintptr
	until func(func(fd uintptr) bool) error
	once  func(fd uintptr) bool
	b     []byte
	n     int
	errno syscall.Errno
}

func (t *transfer) open(call uintptr, until func(func(uintptr) bool) error) {
	t.call, t.until, t.once = call, until, t.attempt
}

// some moves at least one byte, or says that there is no more.
func (t *transfer) some(b []byte) (int, error) {
	t.b = b
	err := t.until(t.once)
	t.b = nil
	if err == nil && t.errno != 0 {
		err = t.errno
	}
	return t.n, err
}

// attempt says whether the system call did something, or is to be waited for.
func (t *transfer) attempt(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall(t.call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(t.b))), uintptr(len(t.b))) //nolint:gosec // of a slice that lives for the call
		if errno == syscall.EINTR {
			continue
		}
		t.n, t.errno = int(n), errno
		return errno != syscall.EAGAIN
	}
}

// Quiet says of a socket whether the other side has neither ended it nor sent what was not read yet.
func Quiet(fd uintptr) bool {
	var one [1]byte
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&one[0])), 1, syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0) //nolint:gosec // a byte of this frame
	return errno == syscall.EAGAIN
}
