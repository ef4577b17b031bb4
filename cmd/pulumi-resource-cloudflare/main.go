// Command pulumi-resource-cloudflare is the loopback-only stand-in for the official Cloudflare plugin.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/stacks/standin"
)

func main() {
	if err := standin.Run(context.Background(), slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(fault.ExitCode(err))
	}
}
