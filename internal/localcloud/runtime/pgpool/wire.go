package pgpool

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"

	"github.com/cognomega/edge/internal/fault"
)

// maxControl bounds messages that are held in memory: those of the start of a session, and the answers to our own statements.
const maxControl = 64 << 10

type message struct {
	kind byte
	body []byte
}

// readMessage reads one typed message into memory.
func readMessage(r *bufio.Reader, limit int) (message, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return message{}, err
	}
	n := int(binary.BigEndian.Uint32(head[1:])) - 4
	if n < 0 || n > limit {
		return message{}, fault.New(fault.TooLarge, "a message of %d bytes", n)
	}
	m := message{kind: head[0], body: make([]byte, n)}
	_, err := io.ReadFull(r, m.body)
	return m, err
}

// readStartup reads the first message of a connection, which has no type.
func readStartup(r *bufio.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(head[:])) - 4
	if n < 4 || n > 10_000 { // PostgreSQL's own bound
		return nil, fault.New(fault.Invalid, "invalid length of startup packet")
	}
	body := make([]byte, n)
	_, err := io.ReadFull(r, body)
	return body, err
}

// errBoundary ends a pump between two messages: nothing of the next was taken.
var errBoundary = errors.New("interrupted between messages")

// pump passes typed messages on, without holding them, until see says stop. A flush waits for more that is already here.
func pump(dst *bufio.Writer, src *bufio.Reader, see func(kind byte, first byte) bool) error {
	for {
		head, err := src.Peek(5)
		if err != nil {
			if len(head) == 0 && (errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.EOF)) {
				return errBoundary
			}
			return err
		}
		n := int64(binary.BigEndian.Uint32(head[1:]))
		if n < 4 {
			return fault.New(fault.Invalid, "a message of negative length")
		}
		first := byte(0)
		if head[0] == 'Z' {
			if head, err = src.Peek(6); err != nil {
				return err
			}
			first = head[5]
		}
		if !see(head[0], first) {
			return nil
		}
		if _, err := io.CopyN(dst, src, n+1); err != nil {
			return err
		}
		if src.Buffered() == 0 {
			if err := dst.Flush(); err != nil {
				return err
			}
		}
	}
}

// forwardCancel passes a cancel request on to the server, on a connection of its own as the protocol has it.
func (p *Pool) forwardCancel(key clientKey) error {
	p.mu.Lock()
	s := p.keys[key]
	p.mu.Unlock()
	if s == nil {
		return nil // too late, or not one of ours: PostgreSQL says nothing either
	}
	dialer := net.Dialer{Timeout: connectLimit}
	c, err := dialer.DialContext(context.Background(), "tcp", p.cfg.Address) // a cancel outlives the session that asks for it
	if err != nil {
		return fault.New(fault.Unavailable, "cancel: %w", err)
	}
	defer c.Close()
	b := binary.BigEndian.AppendUint32(nil, 16)
	for _, v := range []uint32{80877102, s.pid, s.secret} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	_, err = c.Write(b)
	return err
}
