package api

import (
	"net/http"
	"slices"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func (s *server) consumerEndpoints() []endpoint {
	var all []endpoint
	r, w := reads(groupQueues), writes(groupQueues)
	for _, path := range queuePaths() {
		list, one := path+"/{queue}/consumers", path+"/{queue}/consumers/{consumer}"
		all = append(all,
			endpoint{method: "GET", pattern: list, permission: r, handle: s.listConsumers},
			endpoint{method: "POST", pattern: list, permission: w, handle: s.createConsumer},
			endpoint{method: "GET", pattern: one, permission: r, handle: s.getConsumer},
			endpoint{method: "PUT", pattern: one, permission: w, handle: s.updateConsumer},
			endpoint{method: "DELETE", pattern: one, permission: w, handle: s.deleteConsumer},
		)
	}
	return all
}

// consumerView says the script under every name that clients look for.
type consumerView struct {
	ID              string           `json:"consumer_id"`
	Type            string           `json:"type"`
	ScriptName      string           `json:"script_name,omitempty"`
	Service         string           `json:"service,omitempty"`
	Script          string           `json:"script,omitempty"`
	Environment     string           `json:"environment,omitempty"`
	QueueName       string           `json:"queue_name"`
	QueueID         string           `json:"queue_id"`
	DeadLetterQueue string           `json:"dead_letter_queue,omitempty"`
	Settings        consumerSettings `json:"settings"`
	Created         time.Time        `json:"created_on"`
}

type consumerSettings struct {
	BatchSize      *int `json:"batch_size,omitempty"`
	MaxRetries     *int `json:"max_retries,omitempty"`
	MaxWaitMS      *int `json:"max_wait_time_ms,omitempty"`
	MaxConcurrency *int `json:"max_concurrency,omitempty"`
	RetryDelay     *int `json:"retry_delay,omitempty"`
	VisibilityMS   *int `json:"visibility_timeout_ms,omitempty"`
}

func viewConsumer(q store.Queue, c store.Consumer) consumerView {
	v := consumerView{ID: c.ID, Type: c.Type, QueueName: q.Name, QueueID: q.ID, DeadLetterQueue: c.DeadLetterQueue, Created: c.Created,
		Settings: consumerSettings{BatchSize: &c.BatchSize, MaxRetries: &c.MaxRetries, RetryDelay: &c.RetryDelayS}}
	if c.Type == "worker" {
		v.ScriptName, v.Service, v.Script, v.Environment = c.Script, c.Script, c.Script, "production"
		v.Settings.MaxWaitMS = &c.MaxWaitMS
		if c.MaxConcurrency > 0 {
			v.Settings.MaxConcurrency = &c.MaxConcurrency
		}
	} else {
		v.Settings.VisibilityMS = &c.VisibilityMS
	}
	return v
}

type consumerRequest struct {
	Type            string           `json:"type"`
	ScriptName      string           `json:"script_name"`
	Service         string           `json:"service"`
	DeadLetterQueue *string          `json:"dead_letter_queue"`
	Settings        consumerSettings `json:"settings"`
}

func (q consumerRequest) script() string {
	if q.ScriptName != "" {
		return q.ScriptName
	}
	return q.Service
}

// apply completes and checks a consumer; the bounds are Cloudflare's documented limits.
func (q consumerRequest) apply(c *store.Consumer) error {
	set(&c.DeadLetterQueue, q.DeadLetterQueue)
	set(&c.BatchSize, q.Settings.BatchSize)
	set(&c.MaxRetries, q.Settings.MaxRetries)
	set(&c.MaxWaitMS, q.Settings.MaxWaitMS)
	set(&c.MaxConcurrency, q.Settings.MaxConcurrency)
	set(&c.RetryDelayS, q.Settings.RetryDelay)
	set(&c.VisibilityMS, q.Settings.VisibilityMS)
	for _, bound := range []struct {
		name          string
		value, lo, hi int
	}{
		{"batch_size", c.BatchSize, 1, store.MaxBatchMessages},
		{"max_retries", c.MaxRetries, 0, 100},
		{"max_wait_time_ms", c.MaxWaitMS, 0, 60_000},
		{"max_concurrency", c.MaxConcurrency, 0, 250},
		{"retry_delay", c.RetryDelayS, 0, int(store.MaxDelay / time.Second)},
		{"visibility_timeout_ms", c.VisibilityMS, 0, int(store.MaxVisibility / time.Millisecond)},
	} {
		if bound.value < bound.lo || bound.value > bound.hi {
			return bad(10026, "%s must be between %d and %d", bound.name, bound.lo, bound.hi)
		}
	}
	return nil
}

func newConsumer(kind, script string, now time.Time) store.Consumer {
	c := store.Consumer{ID: newID(), Type: kind, Script: script, BatchSize: 10, MaxRetries: 3, MaxWaitMS: 5000, Created: now}
	if kind == "http_pull" {
		c.Script, c.MaxWaitMS, c.VisibilityMS = "", 0, int(store.DefaultVisibility/time.Millisecond)
	}
	return c
}

func (s *server) listConsumers(c *call) (any, error) {
	q, err := s.queue(c)
	views := []consumerView{}
	for _, consumer := range q.Consumers {
		views = append(views, viewConsumer(q, consumer))
	}
	return paginate(c, views, 50, 1000), err
}

// consumerAt finds a consumer by id, or by its script's name in the older family.
func consumerAt(q store.Queue, wanted string) int {
	return slices.IndexFunc(q.Consumers, func(c store.Consumer) bool { return c.ID == wanted || c.Script != "" && c.Script == wanted })
}

func noConsumer() *apiError { return missing(11006, "Queue consumer not found.") }

func (s *server) getConsumer(c *call) (any, error) {
	q, err := s.queue(c)
	if err != nil {
		return nil, err
	}
	at := consumerAt(q, c.param("consumer"))
	if at < 0 {
		return nil, noConsumer()
	}
	return viewConsumer(q, q.Consumers[at]), nil
}

func (s *server) createConsumer(c *call) (any, error) {
	var req consumerRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	return s.changeConsumers(c, func(tx *store.Tx, q *store.Queue) (int, error) {
		if len(q.Consumers) > 0 {
			return 0, fail(http.StatusConflict, 11004, "Queue '%s' already has a consumer. Delete it, or update it.", q.Name)
		}
		return s.addConsumer(tx, q, req)
	})
}

func (s *server) addConsumer(tx *store.Tx, q *store.Queue, req consumerRequest) (int, error) {
	kind := req.Type
	if kind == "" {
		kind = "worker"
	}
	if kind != "worker" && kind != "http_pull" {
		return 0, bad(10026, "consumer type %q is neither worker nor http_pull", kind)
	}
	consumer := newConsumer(kind, req.script(), s.now())
	if err := req.apply(&consumer); err != nil {
		return 0, err
	}
	if kind == "worker" {
		if err := hasQueueHandler(tx, consumer.Script); err != nil {
			return 0, err
		}
	}
	q.Consumers = append(q.Consumers, consumer)
	return len(q.Consumers) - 1, s.ensureDeadLetterQueue(tx, consumer.DeadLetterQueue)
}

func hasQueueHandler(tx *store.Tx, script string) error {
	cur, err := load(tx, script)
	if err != nil {
		return err
	}
	if v := cur.deployed(); v == nil || !slices.Contains(v.Handlers, "queue") {
		return bad(11001, "Queue consumer Worker '%s' does not have a queue handler. Add one and deploy it, then try again.", script)
	}
	return nil
}

// ensureDeadLetterQueue creates a dead letter queue that is not there, as Cloudflare does.
func (s *server) ensureDeadLetterQueue(tx *store.Tx, name string) error {
	if name == "" {
		return nil
	}
	_, err := find(tx, store.Queues, "", func(q store.Queue) bool { return q.Name == name })
	if !isMissing(err) {
		return err
	}
	if !queueName.MatchString(name) {
		return bad(11003, "Queue name %q is invalid: use lowercase letters, digits and dashes.", name)
	}
	q := s.newQueue(name, s.now())
	return tx.Put(store.Queues, q.ID, q)
}

func isMissing(err error) bool { return err != nil && orNil(err) == nil }

// updateConsumer keeps the consumer's id; in the older family a PUT makes one that is not there.
func (s *server) updateConsumer(c *call) (any, error) {
	var req consumerRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	return s.changeConsumers(c, func(tx *store.Tx, q *store.Queue) (int, error) {
		at := consumerAt(*q, c.param("consumer"))
		if at < 0 {
			return 0, noConsumer()
		}
		old := q.Consumers[at]
		kind, script := old.Type, old.Script
		if req.Type != "" {
			kind = req.Type
		}
		if req.script() != "" {
			script = req.script()
		}
		q.Consumers = slices.Delete(q.Consumers, at, at+1)
		req.Type, req.ScriptName = kind, script
		at, err := s.addConsumer(tx, q, req)
		if err != nil {
			return 0, err
		}
		q.Consumers[at].ID, q.Consumers[at].Created = old.ID, old.Created
		return at, nil
	})
}

func (s *server) changeConsumers(c *call, change func(*store.Tx, *store.Queue) (int, error)) (any, error) {
	var view consumerView
	err := s.Store.Update(func(tx *store.Tx) error {
		q, err := queueOf(tx, c)
		if err != nil {
			return err
		}
		at, err := change(tx, &q)
		if err != nil {
			return err
		}
		q.Modified = s.now()
		view = viewConsumer(q, q.Consumers[at])
		return tx.Put(store.Queues, q.ID, q)
	})
	return view, err
}

func (s *server) deleteConsumer(c *call) (any, error) {
	return nil, s.Store.Update(func(tx *store.Tx) error {
		q, err := queueOf(tx, c)
		if err != nil {
			return err
		}
		at := consumerAt(q, c.param("consumer"))
		if at < 0 {
			return noConsumer()
		}
		q.Consumers = slices.Delete(q.Consumers, at, at+1)
		q.Modified = s.now()
		return tx.Put(store.Queues, q.ID, q)
	})
}
