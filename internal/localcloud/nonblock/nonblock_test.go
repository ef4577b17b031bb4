package nonblock_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/cognomega/edge/internal/localcloud/nonblock"
)

// kinds are the sockets of the local cloud: to its users, and to workerd.
var kinds = []string{"tcp", "unix"}

func onEach(t *testing.T, do func(t *testing.T, network string)) {
	t.Helper()
	for _, network := range kinds {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			do(t, network)
		})
	}
}

func pipe(t *testing.T, network string) (client, server net.Conn) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		dir, err := os.MkdirTemp("", "nonblock") // t.TempDir is too long for the path of a socket
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		address = filepath.Join(dir, "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = nonblock.Listener{Listener: l}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	client = nonblock.Wrap(dialed)
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return client, server
}

// What the Go project asks of every net.Conn: bytes, deadlines, closing, all at once.
func TestIsANetConn(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, network string) {
		nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
			a, b := pipe(t, network)
			return a, b, func() { _, _ = a.Close(), b.Close() }, nil
		})
	})
}

// More than any buffer of a socket holds arrives whole, and two who write at once do not break into each other.
func TestAWriteIsWhole(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, network string) {
		a, b := pipe(t, network)
		const size = 16 << 20
		wrote := make(chan error, 2)
		for _, fill := range []byte{'x', 'y'} {
			go func() {
				n, err := a.Write(bytes.Repeat([]byte{fill}, size))
				if err == nil && n != size {
					err = io.ErrShortWrite
				}
				wrote <- err
			}()
		}
		got := make([]byte, 2*size)
		if _, err := io.ReadFull(b, got); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(<-wrote, <-wrote); err != nil {
			t.Fatal(err)
		}
		if first, second := got[:1], got[size:size+1]; bytes.Count(got[:size], first) != size || bytes.Count(got[size:], second) != size || first[0] == second[0] {
			t.Error("one write broke into the other")
		}
	})
}

// Errors are what the net package would say of the same socket.
func TestErrorsAreThoseOfNet(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, network string) {
		a, b := pipe(t, network)
		if err := a.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		_, err := a.Read(make([]byte, 1))
		if late, ok := errors.AsType[net.Error](err); !ok || !late.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("past a deadline: %v", err)
		}
		if err := a.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if n, err := b.Read(make([]byte, 1)); n != 0 || err != io.EOF { //nolint:errorlint // net gives io.EOF itself
			t.Errorf("after its end: %d, %v", n, err)
		}
		_, err = a.Write([]byte("x"))
		if oe, ok := errors.AsType[*net.OpError](err); !ok || oe.Op != "write" || oe.Net != network || !errors.Is(err, syscall.EPIPE) {
			t.Errorf("after its own end: %v", err)
		}
		_ = a.Close()
		for op, use := range map[string]func([]byte) (int, error){"read": a.Read, "write": a.Write} {
			_, err := use(make([]byte, 1))
			if oe, ok := errors.AsType[*net.OpError](err); !ok || oe.Op != op || !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after Close: %v", op, err)
			}
		}
	})
}

func TestQuiet(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(other net.Conn) error
		want bool
	}{
		"nothing said":       {func(net.Conn) error { return nil }, true},
		"spoke out of turn":  {func(o net.Conn) error { _, err := o.Write([]byte("x")); return err }, false},
		"ended":              {func(o net.Conn) error { return o.Close() }, false},
		"ended what it says": {func(o net.Conn) error { return o.(interface{ CloseWrite() error }).CloseWrite() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := pipe(t, "unix") // what is sent there has arrived when Write returns
			if err := c.do(b); err != nil {
				t.Fatal(err)
			}
			raw, err := a.(syscall.Conn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			var quiet bool
			if err := raw.Control(func(fd uintptr) { quiet = nonblock.Quiet(fd) }); err != nil || quiet != c.want {
				t.Errorf("quiet: %v (%v), want %v", quiet, err, c.want)
			}
		})
	}
}

// What is no socket of the net package is left alone.
func TestOthersAreLeftAlone(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer b.Close()
	defer a.Close()
	if nonblock.Wrap(a) != a {
		t.Error("a pipe was wrapped")
	}
}
