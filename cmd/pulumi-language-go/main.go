// Command pulumi-language-go is a small Pulumi language host for development and tests; the official CLI brings its own.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/stacks/langhost"
)

func main() {
	if err := langhost.Run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(fault.ExitCode(err))
	}
}
