package cfapi

import (
	"context"
	"net/http"
	"net/url"
)

// Hyperdrive is a database connection. It has no field that a password could be in.
type Hyperdrive struct {
	ID              string           `json:"id"`
	Name            string           `json:"name"`
	Origin          HyperdriveOrigin `json:"origin"`
	Caching         Fields           `json:"caching"`
	MTLS            Fields           `json:"mtls"`
	ConnectionLimit int              `json:"origin_connection_limit"`
}

// HyperdriveOrigin says where the database is, and as whom it is used.
type HyperdriveOrigin struct {
	Scheme   string `json:"scheme,omitempty"`
	Host     string `json:"host,omitempty"`
	Port     int    `json:"port,omitempty"`
	Database string `json:"database,omitempty"`
	User     string `json:"user,omitempty"`
}

// Hyperdrives lists every Hyperdrive configuration of the account.
func (c *Client) Hyperdrives(ctx context.Context) ([]Hyperdrive, error) {
	return all[Hyperdrive](ctx, c, call{
		doing: "list Hyperdrive configurations", method: http.MethodGet,
		path: "/accounts/" + url.PathEscape(c.account) + "/hyperdrive/configs",
	}, "100")
}
