package api

import (
	"slices"
	"strings"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func (s *server) kv() []endpoint {
	const all, one = "/accounts/{account}/storage/kv/namespaces", "/accounts/{account}/storage/kv/namespaces/{namespace}"
	return []endpoint{
		{method: "GET", pattern: all, permission: reads(groupKV), handle: s.listNamespaces},
		{method: "POST", pattern: all, permission: writes(groupKV), handle: s.createNamespace},
		{method: "GET", pattern: one, permission: reads(groupKV), handle: s.getNamespace},
		{method: "PUT", pattern: one, permission: writes(groupKV), handle: s.renameNamespace},
		{method: "DELETE", pattern: one, permission: writes(groupKV), handle: s.deleteNamespace},
	}
}

type namespaceView struct {
	ID       string `json:"id"`
	Title    string `json:"title"`
	Encoding bool   `json:"supports_url_encoding"`
}

func viewNamespace(n store.KVNamespace) namespaceView { return namespaceView{n.ID, n.Title, true} }

func (s *server) listNamespaces(c *call) (any, error) {
	all, err := readAll[store.KVNamespace](s, store.Namespaces, "")
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b store.KVNamespace) int {
		if c.query("order") == "id" {
			return strings.Compare(a.ID, b.ID)
		}
		return strings.Compare(a.Title, b.Title)
	})
	if c.query("direction") == "desc" {
		slices.Reverse(all)
	}
	views := make([]namespaceView, 0, len(all))
	for _, n := range all {
		views = append(views, viewNamespace(n))
	}
	return paginate(c, views, 20, 1000), nil
}

func (s *server) createNamespace(c *call) (any, error) {
	return s.saveNamespace(c, store.KVNamespace{ID: newID(), Created: s.now()})
}

func (s *server) saveNamespace(c *call, n store.KVNamespace) (any, error) {
	var req struct {
		Title string `json:"title"`
	}
	if err := c.decodeAs(10012, &req); err != nil {
		return nil, err
	}
	if req.Title == "" || len(req.Title) > 512 {
		return nil, bad(10019, "create namespace: 'a namespace title of 1 to 512 characters is required'")
	}
	n.Title = req.Title
	err := s.Store.Update(func(tx *store.Tx) error {
		all, err := store.All[store.KVNamespace](tx, store.Namespaces, "")
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(o store.KVNamespace) bool { return o.Title == n.Title && o.ID != n.ID }) {
			return bad(10014, "create namespace: 'a namespace with this account ID and title already exists'")
		}
		return tx.Put(store.Namespaces, n.ID, n)
	})
	return viewNamespace(n), err
}

func (s *server) namespace(c *call) (store.KVNamespace, error) {
	n, err := read[store.KVNamespace](s, store.Namespaces, strings.ToLower(c.param("namespace")))
	return n, orMissing(err, missing(10013, "namespace not found"))
}

func (s *server) getNamespace(c *call) (any, error) {
	n, err := s.namespace(c)
	return viewNamespace(n), err
}

func (s *server) renameNamespace(c *call) (any, error) {
	n, err := s.namespace(c)
	if err != nil {
		return nil, err
	}
	return s.saveNamespace(c, n)
}

func (s *server) deleteNamespace(c *call) (any, error) {
	n, err := s.namespace(c)
	if err != nil {
		return nil, err
	}
	return nil, s.Store.KV().DropNamespace(n.ID)
}
