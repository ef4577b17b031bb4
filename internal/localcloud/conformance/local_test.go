//go:build !live

package conformance

import (
	"testing"

	"github.com/cognomega/edge/internal/localcloud/api/apitest"
)

// endpoint is a local account of the test's own, with its scripts in the real workerd.
func endpoint(t *testing.T) Endpoint {
	t.Helper()
	bed := apitest.NewWorkerd(t)
	return Endpoint{BaseURL: bed.URL, Token: apitest.Token, AccountID: apitest.AccountID, ZoneID: apitest.ZoneID}
}
