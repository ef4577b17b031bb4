//go:build live

package conformance

import (
	"os"
	"testing"
)

// endpoint is a real account, named by the environment; everything the suite makes in it has a name of its own and is deleted.
func endpoint(t *testing.T) Endpoint {
	t.Helper()
	e := Endpoint{
		BaseURL: os.Getenv("CLOUDFLARE_BASE_URL"), Token: os.Getenv("CLOUDFLARE_API_TOKEN"),
		AccountID: os.Getenv("CLOUDFLARE_ACCOUNT_ID"), ZoneID: os.Getenv("CLOUDFLARE_ZONE_ID"), Live: true,
	}
	if e.BaseURL == "" {
		e.BaseURL = "https://api.cloudflare.com/client/v4"
	}
	if e.Token == "" || e.AccountID == "" || e.ZoneID == "" {
		t.Fatal("the live suite needs CLOUDFLARE_API_TOKEN, CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_ZONE_ID of an account it may make and delete things in")
	}
	return e
}
