package api

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

// queuePaths are both families: the newer knows a queue by id, the older (cloudflare-go v0 and so Pulumi v5) by name.
func queuePaths() []string {
	return []string{"/accounts/{account}/queues", "/accounts/{account}/workers/queues"}
}

func (s *server) queueEndpoints() []endpoint {
	var all []endpoint
	r, w := reads(groupQueues), writes(groupQueues)
	for _, path := range queuePaths() {
		all = append(all,
			endpoint{method: "GET", pattern: path, permission: r, handle: s.listQueues},
			endpoint{method: "POST", pattern: path, permission: w, handle: s.createQueue},
			endpoint{method: "GET", pattern: path + "/{queue}", permission: r, handle: s.getQueue},
			endpoint{method: "PUT", pattern: path + "/{queue}", permission: w, handle: s.updateQueue},
			endpoint{method: "PATCH", pattern: path + "/{queue}", permission: w, handle: s.updateQueue},
			endpoint{method: "DELETE", pattern: path + "/{queue}", permission: w, handle: s.deleteQueue},
		)
	}
	return all
}

type queueSettings struct {
	Delay     int  `json:"delivery_delay"`
	Paused    bool `json:"delivery_paused"`
	Retention int  `json:"message_retention_period"`
}

type queueView struct {
	ID             string              `json:"queue_id"`
	Name           string              `json:"queue_name"`
	Created        time.Time           `json:"created_on"`
	Modified       time.Time           `json:"modified_on"`
	Producers      []map[string]string `json:"producers"`
	ProducersTotal int                 `json:"producers_total_count"`
	Consumers      []consumerView      `json:"consumers"`
	ConsumersTotal int                 `json:"consumers_total_count"`
	Settings       queueSettings       `json:"settings"`
}

func viewQueue(tx *store.Tx, q store.Queue) (queueView, error) {
	v := queueView{ID: q.ID, Name: q.Name, Created: q.Created, Modified: q.Modified, Producers: []map[string]string{}, Consumers: []consumerView{},
		ConsumersTotal: len(q.Consumers), Settings: queueSettings{q.DelayS, q.Paused, q.RetentionS}}
	for _, consumer := range q.Consumers {
		v.Consumers = append(v.Consumers, viewConsumer(q, consumer))
	}
	scripts, err := store.All[store.Script](tx, store.Scripts, "")
	if err != nil {
		return v, err
	}
	for _, script := range scripts {
		sends, err := produces(tx, script, q.Name)
		if err != nil {
			return v, err
		}
		if sends {
			v.Producers = append(v.Producers, map[string]string{"type": "worker", "script": script.Name, "service": script.Name, "environment": "production"})
		}
	}
	v.ProducersTotal = len(v.Producers)
	return v, nil
}

func produces(tx *store.Tx, script store.Script, queue string) (bool, error) {
	if len(script.Deployments) == 0 {
		return false, nil
	}
	for _, share := range script.Deployments[0].Versions {
		var v store.Version
		if err := tx.Get(store.Versions, script.Name+"/"+share.VersionID, &v); err != nil {
			return false, err
		}
		if slices.ContainsFunc(v.Bindings, func(b store.Binding) bool { return b.Type == "queue" && b.QueueName == queue }) {
			return true, nil
		}
	}
	return false, nil
}

func (s *server) listQueues(c *call) (any, error) {
	views := []queueView{}
	names := c.r.URL.Query()["name"]
	err := s.Store.View(func(tx *store.Tx) error {
		all, err := store.All[store.Queue](tx, store.Queues, "")
		if err != nil {
			return err
		}
		slices.SortFunc(all, func(a, b store.Queue) int { return strings.Compare(a.Name, b.Name) })
		for _, q := range all {
			if len(names) > 0 && !slices.Contains(names, q.Name) {
				continue
			}
			v, err := viewQueue(tx, q)
			if err != nil {
				return err
			}
			views = append(views, v)
		}
		return nil
	})
	return paginate(c, views, 50, 1000), err
}

var queueName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

type queueRequest struct {
	Name     *string `json:"queue_name"`
	Settings struct {
		Delay     *int  `json:"delivery_delay"`
		Paused    *bool `json:"delivery_paused"`
		Retention *int  `json:"message_retention_period"`
	} `json:"settings"`
}

func (q queueRequest) apply(to *store.Queue) error {
	set(&to.Name, q.Name)
	set(&to.DelayS, q.Settings.Delay)
	set(&to.Paused, q.Settings.Paused)
	set(&to.RetentionS, q.Settings.Retention)
	switch {
	case !queueName.MatchString(to.Name):
		return bad(11003, "Queue name %q is invalid: use lowercase letters, digits and dashes.", to.Name)
	case to.DelayS < 0 || to.DelayS > int(store.MaxDelay/time.Second):
		return bad(10026, "delivery_delay must be between 0 and 86400 seconds")
	case to.RetentionS < 60 || to.RetentionS > int(store.MaxRetention/time.Second):
		return bad(10026, "message_retention_period must be between 60 and 1209600 seconds")
	}
	return nil
}

func (s *server) createQueue(c *call) (any, error) {
	var req queueRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	now := s.now()
	q := s.newQueue("", now)
	return s.saveQueue(req, func(*store.Tx) (store.Queue, error) { return q, nil })
}

func (s *server) newQueue(name string, now time.Time) store.Queue {
	return store.Queue{ID: newID(), Name: name, Created: now, Modified: now, RetentionS: int(store.DefaultRetention / time.Second)}
}

func (s *server) saveQueue(req queueRequest, from func(*store.Tx) (store.Queue, error)) (any, error) {
	var view queueView
	err := s.Store.Update(func(tx *store.Tx) error {
		q, err := from(tx)
		if err != nil {
			return err
		}
		if err := req.apply(&q); err != nil {
			return err
		}
		_, err = find(tx, store.Queues, "", func(o store.Queue) bool { return o.Name == q.Name && o.ID != q.ID })
		if err == nil {
			return fail(http.StatusConflict, 11009, "Queue name '%s' is already taken. Please use a different name and try again.", q.Name)
		}
		if orNil(err) != nil {
			return err
		}
		q.Modified = s.now()
		if err := tx.Put(store.Queues, q.ID, q); err != nil {
			return err
		}
		view, err = viewQueue(tx, q)
		return err
	})
	return view, err
}

// queueOf finds the queue that either path family names.
func queueOf(tx *store.Tx, c *call) (store.Queue, error) {
	wanted := c.param("queue")
	byName := strings.Contains(c.r.URL.Path, "/workers/queues/")
	q, err := find(tx, store.Queues, "", func(q store.Queue) bool { return q.ID == wanted || byName && q.Name == wanted })
	return q, orMissing(err, missing(11000, "Queue '%s' not found.", wanted))
}

func (s *server) queue(c *call) (store.Queue, error) {
	var q store.Queue
	err := s.Store.View(func(tx *store.Tx) error {
		var err error
		q, err = queueOf(tx, c)
		return err
	})
	return q, err
}

func (s *server) getQueue(c *call) (any, error) {
	var view queueView
	err := s.Store.View(func(tx *store.Tx) error {
		q, err := queueOf(tx, c)
		if err != nil {
			return err
		}
		view, err = viewQueue(tx, q)
		return err
	})
	return view, err
}

func (s *server) updateQueue(c *call) (any, error) {
	var req queueRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	return s.saveQueue(req, func(tx *store.Tx) (store.Queue, error) { return queueOf(tx, c) })
}

func (s *server) deleteQueue(c *call) (any, error) {
	q, err := s.queue(c)
	if err != nil {
		return nil, err
	}
	return nil, s.Store.Queues().Drop(q.ID)
}
