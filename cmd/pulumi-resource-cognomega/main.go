// Command pulumi-resource-cognomega is the plugin that the Pulumi engine runs for the cognomega package.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/cognomega/edge/stacks/provider"
)

func main() {
	if err := provider.Run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
