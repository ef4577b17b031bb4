package api

import "encoding/base64"

type pageInfo struct {
	Page       int `json:"page"`
	PerPage    int `json:"per_page"`
	Count      int `json:"count"`
	TotalCount int `json:"total_count"`
	TotalPages int `json:"total_pages"`
}

type cursorInfo struct {
	Count   int    `json:"count"`
	Cursor  string `json:"cursor"`
	PerPage int    `json:"per_page,omitempty"`
}

// paginate cuts one page; a page past the end is empty, never the first again (wrangler pages until it sees an empty one).
func paginate[T any](c *call, all []T, perPage, maximum int) list {
	page := max(c.number("page", 1), 1)
	if n := c.number("per_page", perPage); n > 0 {
		perPage = min(n, maximum)
	}
	total := len(all)
	from := total
	if page-1 <= total/perPage {
		from = min((page-1)*perPage, total)
	}
	items := all[from:min(from+perPage, total)]
	if items == nil {
		items = []T{}
	}
	return list{items, pageInfo{page, perPage, len(items), total, (total + perPage - 1) / perPage}}
}

// afterCursor cuts the items that follow the one named by the cursor; items must be sorted by name.
func afterCursor[T any](c *call, all []T, name func(T) string, perPage, maximum int) ([]T, cursorInfo, error) {
	after, err := base64.RawURLEncoding.DecodeString(c.query("cursor"))
	if err != nil {
		return nil, cursorInfo{}, bad(10001, "Invalid cursor")
	}
	limit := c.number("per_page", perPage)
	if limit < 1 {
		limit = perPage
	}
	limit = min(limit, maximum)
	items := []T{}
	for _, item := range all {
		if c.query("cursor") != "" && name(item) <= string(after) {
			continue
		}
		if len(items) == limit {
			cursor := base64.RawURLEncoding.EncodeToString([]byte(name(items[limit-1])))
			return items, cursorInfo{len(items), cursor, limit}, nil
		}
		items = append(items, item)
	}
	return items, cursorInfo{Count: len(items), PerPage: limit}, nil
}
