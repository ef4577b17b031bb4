package cfapi

import (
	"context"
	"net/http"

	"github.com/cognomega/edge/internal/fault"
)

// Token is what the API says about the token that asks.
type Token struct {
	ID     string `json:"id"`
	Status string `json:"status"` // active, disabled, expired
}

// VerifyToken asks whether the token is valid; one that is not active is fault.Unauthenticated.
// A token owned by the account rather than a user is only known to the account's own endpoint, which is asked second.
func (c *Client) VerifyToken(ctx context.Context) (Token, error) {
	var t Token
	_, err := c.do(ctx, call{doing: "verify the API token", method: http.MethodGet, path: "/user/tokens/verify"}, &t)
	if err != nil && c.account != "" && (fault.KindOf(err) == fault.Unauthenticated || fault.KindOf(err) == fault.Denied) {
		owned := call{doing: "verify the API token", method: http.MethodGet, path: "/accounts/" + c.account + "/tokens/verify"}
		if _, second := c.do(ctx, owned, &t); second == nil {
			err = nil
		}
	}
	if err != nil {
		return Token{}, err
	}
	if t.Status != "active" {
		return t, fault.New(fault.Unauthenticated, "the API token is %s", t.Status).WithHint("make a new token in the dashboard under My Profile > API Tokens")
	}
	return t, nil
}
