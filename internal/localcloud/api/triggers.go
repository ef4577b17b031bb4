package api

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"

	"github.com/cognomega/edge/internal/localcloud/runtime/cronspec"
	"github.com/cognomega/edge/internal/localcloud/store"
)

type subdomainView struct {
	Enabled  bool `json:"enabled"`
	Previews bool `json:"previews_enabled"`
}

func viewSubdomain(script store.Script) subdomainView {
	return subdomainView{script.Subdomain, script.Previews}
}

func (s *server) getScriptSubdomain(c *call) (any, error) {
	cur, err := s.current(c.param("script"))
	return viewSubdomain(cur.script), err
}

func (s *server) postScriptSubdomain(c *call) (any, error) {
	var req struct {
		Enabled  *bool `json:"enabled"`
		Previews *bool `json:"previews_enabled"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if req.Enabled == nil {
		return nil, bad(10026, "Could not parse request body: enabled is required")
	}
	script, err := s.changeScript(c, func(_ *store.Tx, script *store.Script) error {
		script.Subdomain = *req.Enabled
		set(&script.Previews, req.Previews)
		return nil
	})
	return viewSubdomain(script), err
}

func (s *server) deleteScriptSubdomain(c *call) (any, error) {
	script, err := s.changeScript(c, func(_ *store.Tx, script *store.Script) error {
		script.Subdomain, script.Previews = false, false
		return nil
	})
	return viewSubdomain(script), err
}

func viewSchedules(list []store.Schedule) map[string]any {
	return map[string]any{"schedules": orEmpty(list)}
}

func (s *server) getSchedules(c *call) (any, error) {
	cur, err := s.current(c.param("script"))
	return viewSchedules(cur.script.Schedules), err
}

type scheduleRequest struct {
	Cron string `json:"cron"`
}

// putSchedules replaces all schedules; one that stays keeps the date it was made.
func (s *server) putSchedules(c *call) (any, error) {
	wanted, err := readSchedules(c)
	if err != nil {
		return nil, err
	}
	now := s.now()
	script, err := s.changeScript(c, func(_ *store.Tx, script *store.Script) error {
		var next []store.Schedule
		for _, w := range wanted {
			schedule := store.Schedule{Cron: w.Cron, Created: now, Modified: now}
			at := slices.IndexFunc(script.Schedules, func(o store.Schedule) bool { return o.Cron == w.Cron })
			if at >= 0 {
				schedule.Created = script.Schedules[at].Created
			}
			next = append(next, schedule)
		}
		script.Schedules = next
		return nil
	})
	return viewSchedules(script.Schedules), err
}

func readSchedules(c *call) ([]scheduleRequest, error) {
	var body json.RawMessage
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	var wanted []scheduleRequest
	if err := decodeJSON(10026, body, &wanted); err != nil {
		var object struct {
			Schedules []scheduleRequest `json:"schedules"`
		}
		if json.Unmarshal(body, &object) != nil || object.Schedules == nil {
			return nil, err
		}
		wanted = object.Schedules
	}
	seen := map[string]bool{}
	for _, w := range wanted {
		if seen[w.Cron] {
			return nil, bad(10100, "cron expression %q is given twice", w.Cron)
		}
		seen[w.Cron] = true
		if _, err := cronspec.Parse(w.Cron); err != nil {
			return nil, bad(10100, "invalid cron string %q: %s", w.Cron, err)
		}
	}
	return wanted, nil
}

const subdomainKey = "workers-subdomain"

type accountSubdomain struct {
	Subdomain string `json:"subdomain"`
}

func (s *server) getSubdomain(*call) (any, error) {
	d, err := read[accountSubdomain](s, store.Settings, subdomainKey)
	return d, orMissing(err, missing(10007, "You do not have a workers.dev subdomain."))
}

var subdomainName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (s *server) putSubdomain(c *call) (any, error) {
	var req accountSubdomain
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if !subdomainName.MatchString(req.Subdomain) {
		return nil, bad(10031, "Subdomain %q is not available.", req.Subdomain)
	}
	err := s.Store.Update(func(tx *store.Tx) error {
		var have accountSubdomain
		err := tx.Get(store.Settings, subdomainKey, &have)
		if err == nil && have != req {
			return fail(http.StatusConflict, 10036, "Account already has an associated subdomain.")
		}
		if err := orNil(err); err != nil {
			return err
		}
		return tx.Put(store.Settings, subdomainKey, req)
	})
	return req, err
}
