package api

import (
	"net/http"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func (s *server) deleteScript(c *call) (any, error) {
	name := c.param("script")
	defer s.scripts.lock(name)()
	s.deploys.Lock()
	defer s.deploys.Unlock()
	err := s.Store.View(func(tx *store.Tx) error {
		if _, err := load(tx, name); err != nil || c.flag("force") {
			return err
		}
		return unused(tx, name)
	})
	if err != nil {
		return nil, err
	}
	prepared, err := s.Runtime.Prepare(c.r.Context(), Change{Delete: []string{name}})
	if err != nil {
		return nil, err
	}
	if err := s.Store.Update(func(tx *store.Tx) error { return removeScript(tx, name) }); err != nil {
		prepared.Abort()
		return nil, err
	}
	prepared.Commit()
	return nil, nil
}

// unused refuses to delete a script that something else still needs.
func unused(tx *store.Tx, name string) error {
	queues, err := store.All[store.Queue](tx, store.Queues, "")
	if err != nil {
		return err
	}
	for _, q := range queues {
		for _, consumer := range q.Consumers {
			if consumer.Script == name {
				return fail(http.StatusConflict, 10064, "Cannot delete this Worker as it is still in use as a consumer for a queue: '%s'. Remove the consumer first.", q.Name)
			}
		}
	}
	user, err := boundTo(tx, name, func(b store.Binding) bool { return dependsOn(b, name) })
	if err != nil {
		return err
	}
	if user != "" {
		return fail(http.StatusConflict, 10142, "Cannot delete this Worker as it is referenced by a binding of Worker '%s'.", user)
	}
	_, err = find(tx, store.DOClasses, "", func(n store.DONamespace) bool { return n.Script == name })
	if err == nil {
		return fail(http.StatusConflict, 10064, "Cannot delete this Worker as it has Durable Objects. Delete it with force=true to delete them, too.")
	}
	return orNil(err)
}

func dependsOn(b store.Binding, script string) bool {
	return b.Type == "service" && b.Service == script || b.Type == "durable_object_namespace" && b.ScriptName == script
}

// removeScript deletes a script with everything that cannot be without it: versions, routes, domains, classes and consumers.
func removeScript(tx *store.Tx, name string) error {
	versions, err := store.All[store.Version](tx, store.Versions, name+"/")
	if err != nil {
		return err
	}
	for _, v := range versions {
		if err := tx.Delete(store.Versions, name+"/"+v.ID); err != nil {
			return err
		}
	}
	classes, err := store.All[store.DONamespace](tx, store.DOClasses, "")
	if err != nil {
		return err
	}
	for _, n := range classes {
		if n.Script == name {
			if err := tx.Delete(store.DOClasses, n.ID); err != nil {
				return err
			}
		}
	}
	if _, err := dropRoutes(tx, name); err != nil {
		return err
	}
	if err := dropDomains(tx, name); err != nil {
		return err
	}
	if err := dropConsumers(tx, name); err != nil {
		return err
	}
	return tx.Delete(store.Scripts, name)
}

func dropConsumers(tx *store.Tx, script string) error {
	queues, err := store.All[store.Queue](tx, store.Queues, "")
	if err != nil {
		return err
	}
	for _, q := range queues {
		var kept []store.Consumer
		for _, consumer := range q.Consumers {
			if consumer.Script != script {
				kept = append(kept, consumer)
			}
		}
		if len(kept) == len(q.Consumers) {
			continue
		}
		q.Consumers = kept
		if err := tx.Put(store.Queues, q.ID, q); err != nil {
			return err
		}
	}
	return nil
}
