package api

import (
	"math"
	"net/http"
	"slices"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func (s *server) listDeployments(c *call) (any, error) {
	cur, err := s.current(c.param("script"))
	return map[string]any{"deployments": viewDeployments(s, cur.script.Deployments)}, err
}

type deploymentView struct {
	store.Deployment
	AuthorEmail string `json:"author_email"`
}

func viewDeployment(s *server, d store.Deployment) deploymentView {
	return deploymentView{d, "operator@" + s.AccountName + ".localhost"}
}

func viewDeployments(s *server, all []store.Deployment) []deploymentView {
	views := make([]deploymentView, 0, len(all))
	for _, d := range all {
		views = append(views, viewDeployment(s, d))
	}
	return views
}

func (s *server) getDeployment(c *call) (any, error) {
	cur, err := s.current(c.param("script"))
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(cur.script.Deployments, func(d store.Deployment) bool { return d.ID == c.param("deployment") })
	if at < 0 {
		return nil, missing(10336, "The requested deployment was not found.")
	}
	return viewDeployment(s, cur.script.Deployments[at]), nil
}

type deploymentRequest struct {
	Strategy    string               `json:"strategy"`
	Versions    []store.VersionShare `json:"versions"`
	Annotations map[string]string    `json:"annotations"`
}

func (s *server) createDeployment(c *call) (any, error) {
	var req deploymentRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	defer s.scripts.lock(c.param("script"))()
	s.deploys.Lock()
	defer s.deploys.Unlock()
	cur, err := s.current(c.param("script"))
	if err != nil {
		return nil, err
	}
	chosen, err := req.choose(cur, c.flag("force"))
	if err != nil {
		return nil, err
	}
	d := s.deployment(c.source(), req.Annotations, req.Versions...)
	cur.script.Deployments = slices.Insert(slices.Clone(cur.script.Deployments), 0, d)
	cur.script.Modified = s.now()
	change := Change{}
	for _, v := range chosen {
		change.Put = append(change.Put, Candidate{cur.script, v})
	}
	prepared, err := s.Runtime.Prepare(c.r.Context(), change)
	if err != nil {
		return nil, notStarting(err)
	}
	if err := s.Store.Update(func(tx *store.Tx) error { return tx.Put(store.Scripts, cur.script.Name, cur.script) }); err != nil {
		prepared.Abort()
		return nil, err
	}
	prepared.Commit()
	return viewDeployment(s, d), nil
}

// choose finds the versions of a deployment and refuses a set that could not serve.
func (q deploymentRequest) choose(cur current, force bool) ([]store.Version, error) {
	if q.Strategy != "percentage" || len(q.Versions) < 1 || len(q.Versions) > 2 {
		return nil, bad(10026, "a deployment has the strategy percentage and one or two versions")
	}
	var chosen []store.Version
	sum := 0.0
	for i, share := range q.Versions {
		if share.Percentage < 0 || share.Percentage > 100 || i == 1 && share.VersionID == q.Versions[0].VersionID {
			return nil, bad(10026, "a deployment names each version once, with a percentage from 0 to 100")
		}
		sum += share.Percentage
		v := cur.version(share.VersionID)
		if v == nil {
			return nil, noVersion()
		}
		chosen = append(chosen, *v)
	}
	if math.Abs(sum-100) > 0.001 {
		return nil, bad(10026, "the percentages of a deployment must sum to 100, not %g", sum)
	}
	return chosen, deployable(cur, chosen, force)
}

func deployable(cur current, chosen []store.Version, force bool) error {
	newest := cur.newest()
	for _, v := range chosen {
		if !slices.Equal(v.DOClasses, newest.DOClasses) {
			return fail(http.StatusConflict, 100405, "Version '%s' does not have the Durable Object classes that were migrated to since.", v.ID)
		}
		if !force && !sameSecrets(v, *newest) {
			return fail(http.StatusConflict, 10220, "Version '%s' was made before a secret was changed. Use force=true to deploy it with the old secret.", v.ID)
		}
	}
	return nil
}

func sameSecrets(a, b store.Version) bool {
	secrets := func(v store.Version) map[string]string {
		all := map[string]string{}
		for _, binding := range v.Bindings {
			if isSecret(binding) {
				all[binding.Name] = binding.Text + string(binding.Extra)
			}
		}
		return all
	}
	x, y := secrets(a), secrets(b)
	if len(x) != len(y) {
		return false
	}
	for name, text := range x {
		if other, ok := y[name]; !ok || other != text {
			return false
		}
	}
	return true
}
