//go:build !live

package conformance

import (
	"testing"

	"github.com/cognomega/edge/internal/localcloud/api/apitest"
)

// endpoint is a local account of the test's own.
func endpoint(t *testing.T) Endpoint {
	t.Helper()
	bed := apitest.New(t)
	return Endpoint{BaseURL: bed.URL, Token: apitest.Token, AccountID: apitest.AccountID, ZoneID: apitest.ZoneID}
}
