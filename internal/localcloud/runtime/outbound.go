package runtime

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/nonblock"
)

// outboundProto tells whoever serves Config.Outbound the scheme of what a Worker fetches.
const outboundProto = "Cogctl-Proto"

// outbound serves what Workers fetch, on a socket of its own.
type outbound struct {
	server *http.Server
	ended  chan error
}

func newOutbound(path string, h http.Handler) (*outbound, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fault.New(fault.Internal, "listen for what Workers fetch: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fault.New(fault.Internal, "listen for what Workers fetch: %w", errors.Join(err, l.Close()))
	}
	o := &outbound{server: &http.Server{Handler: h, ReadHeaderTimeout: 30 * time.Second}, ended: make(chan error, 1)}
	go func() { o.ended <- o.server.Serve(nonblock.Listener{Listener: l}) }()
	return o, nil
}

func (o *outbound) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if o.server.Shutdown(ctx) != nil {
		_ = o.server.Close()
	}
	<-o.ended
}

// internet is what fetch() reaches: everything, this machine included. It goes through Config.Outbound where there is one.
func (c *conf) internet() {
	if !c.env.outbound {
		c.service("internet", "network", func() string {
			return fields("allow", quotedList([]string{"public", "private"}), "tlsOptions", "(trustBrowserCas = true)")
		})
		return
	}
	c.service("internet", "external", func() string {
		return fields("address", quote("unix:"+c.env.paths.outSocket()), "http", fields("forwardedProtoHeader", quote(outboundProto)))
	})
}
