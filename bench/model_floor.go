package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/platform"
)

// relay is a Worker that does nothing but ask.
func relay(upstream string) string {
	return `export default { fetch: (request) => fetch("http://` + upstream + chatPath + `", {
  method: "POST", headers: { authorization: "Bearer bench", "content-type": "application/json" }, body: request.body,
}) };`
}

// bareWay asks through a Worker that only asks: what the local cloud costs by itself, before any of the platform's code.
func (s *stage) bareWay(ctx context.Context, upstream string) (way, error) {
	host, err := s.deploy(ctx, "bench-relay", relay(upstream))
	return way{name: "bare", dial: s.edge, host: host, spent: s.spent, rest: nothingLeft}, err
}

// aloneWay asks through the same Worker in a workerd without a local cloud around it: what the runtime costs by itself, the least there is.
func (s *stage) aloneWay(ctx context.Context, upstream string) (way, func(), error) {
	l, err := platform.FindLayout(s.root, s.dir)
	if err != nil {
		return way{}, nil, err
	}
	workerd, err := l.Workerd()
	if err != nil {
		return way{}, nil, err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return way{}, nil, err
	}
	config, err := writeAlone(s.dir, address, upstream)
	if err != nil {
		return way{}, nil, err
	}
	cmd := exec.CommandContext(ctx, workerd, "serve", config)
	if err := cmd.Start(); err != nil {
		return way{}, nil, fault.New(fault.Unavailable, "start workerd: %w", err)
	}
	quit := func() { _, _ = cmd.Process.Kill(), cmd.Wait() }
	if err := awaitHTTP(ctx, "http://"+address+"/"); err != nil {
		quit()
		return way{}, nil, err
	}
	return way{name: "alone", dial: tcp(address), host: address, rest: nothingLeft, spent: func() (spent, error) {
		used, err := cpuTime(cmd.Process.Pid)
		return spent{workerd: used}, err
	}}, quit, nil
}

// writeAlone writes what that workerd reads, and answers where.
func writeAlone(dir, address, upstream string) (config string, err error) {
	config = filepath.Join(dir, "alone.capnp")
	for path, text := range map[string]string{filepath.Join(dir, "relay.js"): relay(upstream), config: aloneConfig(address)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", fault.New(fault.Internal, "write a Worker and its configuration: %w", err)
		}
	}
	return config, nil
}

func aloneConfig(address string) string {
	return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "relay", worker = (modules = [(name = "relay.js", esModule = embed "relay.js")], compatibilityDate = "` + compatibilityDate + `")),
    (name = "internet", network = (allow = ["local"])),
  ],
  sockets = [(name = "http", address = "` + address + `", http = (), service = "relay")],
);
`
}
