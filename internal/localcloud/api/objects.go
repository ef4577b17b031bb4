package api

import (
	"slices"
	"strings"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func (s *server) durableObjects() []endpoint {
	const all = "/accounts/{account}/workers/durable_objects/namespaces"
	return []endpoint{
		{method: "GET", pattern: all, permission: reads(groupScripts), handle: s.listDONamespaces},
		{method: "GET", pattern: all + "/{class}/objects", permission: reads(groupScripts), handle: s.listObjects},
	}
}

type doNamespaceView struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Script    string `json:"script"`
	Class     string `json:"class"`
	UseSQLite bool   `json:"use_sqlite"`
}

func (s *server) listDONamespaces(c *call) (any, error) {
	all, err := readAll[store.DONamespace](s, store.DOClasses, "")
	slices.SortFunc(all, func(a, b store.DONamespace) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	views := []doNamespaceView{}
	for _, n := range all {
		views = append(views, doNamespaceView{n.ID, n.Name, n.Script, n.Class, n.UseSQLite})
	}
	return paginate(c, views, 20, 1000), err
}

type objectView struct {
	ID            string `json:"id"`
	HasStoredData bool   `json:"hasStoredData"`
}

// listObjects asks the runtime, when it can tell, which objects of a class have stored anything.
func (s *server) listObjects(c *call) (any, error) {
	n, err := read[store.DONamespace](s, store.DOClasses, c.param("class"))
	if err != nil {
		return nil, orMissing(err, missing(10066, "Durable Object namespace '%s' not found.", c.param("class")))
	}
	lister, ok := s.Runtime.(interface {
		Objects(uniqueKey string) ([]string, error)
	})
	if !ok {
		return nil, fail(501, codeNotEmulated, "the objects of a Durable Object namespace are not emulated by this runtime")
	}
	ids, err := lister.Objects(n.UniqueKey)
	if err != nil {
		return nil, err
	}
	slices.Sort(ids)
	ids, info, err := afterCursor(c, ids, func(id string) string { return id }, 1000, 10_000)
	views := make([]objectView, 0, len(ids))
	for _, id := range ids {
		views = append(views, objectView{id, true})
	}
	return list{views, info}, err
}
