// Command cogctl provisions, serves, proves and inspects the platform.
package main

import (
	"os"

	"github.com/cognomega/edge/cmd/cogctl/cli"
)

var version = "unknown" // set by the linker

func main() { os.Exit(cli.Main(version)) }
