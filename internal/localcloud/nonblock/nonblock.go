// Package nonblock reads and writes sockets without telling Go's scheduler of each system call, for none of them blocks.
package nonblock

import "net"

// Listener accepts sockets that are read and written so.
type Listener struct{ net.Listener }

// Accept waits for the next connection.
func (l Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return Wrap(c), nil
}
