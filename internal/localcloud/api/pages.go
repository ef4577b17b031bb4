package api

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func (s *server) pages() []endpoint {
	const all, one = "/accounts/{account}/pages/projects", "/accounts/{account}/pages/projects/{project}"
	r, w := reads(groupPages), writes(groupPages)
	return []endpoint{
		{method: "GET", pattern: all, permission: r, handle: s.listProjects},
		{method: "POST", pattern: all, permission: w, handle: s.createProject},
		{method: "GET", pattern: one, permission: r, handle: s.getProject},
		{method: "DELETE", pattern: one, permission: w, handle: s.deleteProject},
		{method: "GET", pattern: one + "/domains", permission: r, handle: s.listProjectDomains},
		{method: "POST", pattern: one + "/domains", permission: w, handle: s.addProjectDomain},
		{method: "GET", pattern: one + "/domains/{domain}", permission: r, handle: s.getProjectDomain},
		{method: "DELETE", pattern: one + "/domains/{domain}", permission: w, handle: s.removeProjectDomain},
	}
}

type projectView struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Subdomain string    `json:"subdomain"`
	Domains   []string  `json:"domains"`
	Branch    string    `json:"production_branch"`
	Source    any       `json:"source"`
	Build     any       `json:"build_config"`
	Created   time.Time `json:"created_on"`
}

func viewProject(p store.PagesProject) projectView {
	return projectView{ID: p.ID, Name: p.Name, Subdomain: p.Subdomain, Domains: append([]string{p.Subdomain}, p.Domains...), Branch: "main",
		Build: map[string]any{}, Created: p.Created}
}

func (s *server) listProjects(c *call) (any, error) {
	all, err := readAll[store.PagesProject](s, store.Pages, "")
	views := []projectView{}
	for _, p := range all {
		views = append(views, viewProject(p))
	}
	return paginate(c, views, 10, 100), err
}

var projectName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,56}[a-z0-9])?$`)

func (s *server) createProject(c *call) (any, error) {
	var req struct {
		Name string `json:"name"`
	}
	if err := c.decodeAs(8000000, &req); err != nil {
		return nil, err
	}
	if !projectName.MatchString(req.Name) {
		return nil, bad(8000016, "Invalid project name %q.", req.Name)
	}
	p := store.PagesProject{ID: newID(), Name: req.Name, Subdomain: req.Name + ".pages.dev", Domains: []string{}, Created: s.now()}
	err := s.Store.Update(func(tx *store.Tx) error {
		if ok, err := exists[store.PagesProject](tx, store.Pages, p.Name); err != nil || ok {
			return orElse(err, fail(http.StatusConflict, 8000002, "A project with this name already exists. Choose a different project name."))
		}
		return tx.Put(store.Pages, p.Name, p)
	})
	return viewProject(p), err
}

func noProject() *apiError {
	return missing(8000007, "Project not found. The specified project name does not match any of your existing projects.")
}

func (s *server) project(c *call) (store.PagesProject, error) {
	p, err := read[store.PagesProject](s, store.Pages, c.param("project"))
	return p, orMissing(err, noProject())
}

func (s *server) getProject(c *call) (any, error) {
	p, err := s.project(c)
	return viewProject(p), err
}

func (s *server) deleteProject(c *call) (any, error) {
	return nil, s.Store.Update(func(tx *store.Tx) error {
		return orMissing(tx.Delete(store.Pages, c.param("project")), noProject())
	})
}

func viewProjectDomain(p store.PagesProject, name string) map[string]any {
	return map[string]any{"id": p.ID, "domain_id": p.ID, "name": name, "status": "active", "created_on": p.Created,
		"validation_data": map[string]string{"status": "active", "method": "http"}, "verification_data": map[string]string{"status": "active"}}
}

func (s *server) listProjectDomains(c *call) (any, error) {
	p, err := s.project(c)
	views := []map[string]any{}
	for _, name := range p.Domains {
		views = append(views, viewProjectDomain(p, name))
	}
	return paginate(c, views, 20, 100), err
}

func (s *server) addProjectDomain(c *call) (any, error) {
	var req struct {
		Name string `json:"name"`
	}
	if err := c.decodeAs(8000000, &req); err != nil {
		return nil, err
	}
	name := strings.ToLower(req.Name)
	if name == "" {
		return nil, bad(8000000, "a domain needs a name")
	}
	var p store.PagesProject
	err := s.Store.Update(func(tx *store.Tx) error {
		all, err := store.All[store.PagesProject](tx, store.Pages, "")
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(o store.PagesProject) bool { return slices.Contains(o.Domains, name) }) {
			return fail(http.StatusConflict, 8000018, "You have already added this custom domain.")
		}
		if err := tx.Get(store.Pages, c.param("project"), &p); err != nil {
			return orMissing(err, noProject())
		}
		p.Domains = append(p.Domains, name)
		return tx.Put(store.Pages, p.Name, p)
	})
	return viewProjectDomain(p, name), err
}

func noProjectDomain() *apiError {
	return missing(8000021, "The domain you have specified does not exist.")
}

func (s *server) getProjectDomain(c *call) (any, error) {
	p, err := s.project(c)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(p.Domains, strings.ToLower(c.param("domain"))) {
		return nil, noProjectDomain()
	}
	return viewProjectDomain(p, strings.ToLower(c.param("domain"))), nil
}

func (s *server) removeProjectDomain(c *call) (any, error) {
	return nil, s.Store.Update(func(tx *store.Tx) error {
		var p store.PagesProject
		if err := tx.Get(store.Pages, c.param("project"), &p); err != nil {
			return orMissing(err, noProject())
		}
		at := slices.Index(p.Domains, strings.ToLower(c.param("domain")))
		if at < 0 {
			return noProjectDomain()
		}
		p.Domains = slices.Delete(p.Domains, at, at+1)
		return tx.Put(store.Pages, p.Name, p)
	})
}
