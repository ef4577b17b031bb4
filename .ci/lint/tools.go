//go:build tools

package lint

import _ "github.com/golangci/golangci-lint/v2/cmd/golangci-lint"
