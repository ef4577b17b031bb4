package cfapi

import (
	"context"
	"net/http"
)

// PagesProject is a Pages project with every domain it answers on.
type PagesProject struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Subdomain string   `json:"subdomain"`
	Domains   []string `json:"domains"`
}

// pagesPerPage is the most that the Pages API gives at once.
const pagesPerPage = "10"

// PagesProjects lists every Pages project of the account.
func (c *Client) PagesProjects(ctx context.Context) ([]PagesProject, error) {
	return all[PagesProject](ctx, c, call{
		doing: "list Pages projects", method: http.MethodGet, path: "/accounts/" + c.account + "/pages/projects",
	}, pagesPerPage)
}
