package contract

import (
	"regexp"
	"slices"
)

func checkStores(c *Contract, rep *report) {
	const file = "stores.json"
	owner := map[string]string{}
	for _, id := range sorted(c.Stores) {
		s := c.Stores[id]
		if !slices.Contains(storeKinds, s.Kind) {
			rep.addf(file, join(id, "kind"), "is %q, want hyperdrive, kv, queue or r2", s.Kind)
		}
		if !bucketName.MatchString(s.Name) {
			rep.addf(file, join(id, "name"), "is %q, want 3 to 63 lower-case letters, digits and dashes", s.Name)
		}
		key := string(s.Kind) + ":" + s.Name
		if first, taken := owner[key]; taken {
			rep.addf(file, join(id, "name"), "is the same %s as store %q", s.Kind, first)
		}
		owner[key] = id
		checkLifecycle(rep, id, s)
		checkDatabase(rep, id, s)
		checkQuota(c, rep, id, s)
	}
}

func checkLifecycle(rep *report, id string, s Store) {
	const file = "stores.json"
	at := join(id, "lifecycle")
	if s.Kind != StoreR2 && len(s.Lifecycle) > 0 {
		rep.addf(file, at, "only a bucket has lifecycle rules")
	}
	if s.Kind == StoreR2 && len(s.Lifecycle) == 0 {
		rep.addf(file, at, "is missing: every bucket says what becomes of its objects")
	}
	for _, rule := range sorted(s.Lifecycle) {
		r := s.Lifecycle[rule]
		if r.DeleteAfterDays == 0 && r.InfrequentAccessAfterDays == 0 && r.AbortMultipartAfterDays == 0 {
			rep.addf(file, join(at, rule), "does nothing: give it a number of days")
		}
		if r.DeleteAfterDays > 0 && r.InfrequentAccessAfterDays >= r.DeleteAfterDays {
			rep.addf(file, join(at, rule), "moves objects at %d days, when they are deleted at %d", r.InfrequentAccessAfterDays, r.DeleteAfterDays)
		}
	}
}

// checkQuota sees that a quota leaves out no role: a missing one would be a missing limit.
func checkQuota(c *Contract, rep *report, id string, s Store) {
	const file = "stores.json"
	at := join(id, "quota_bytes")
	if len(s.QuotaBytes) == 0 {
		return
	}
	if s.Kind != StoreR2 {
		rep.addf(file, at, "only a bucket has a quota")
	}
	for _, role := range sorted(c.Auth.Roles) {
		if _, ok := s.QuotaBytes[role]; !ok {
			rep.addf(file, at, "has nothing for role %q", role)
		}
	}
	for _, role := range sorted(s.QuotaBytes) {
		if _, ok := c.Auth.Roles[role]; !ok {
			rep.addf(file, join(at, role), "is no role of auth.json")
		}
		if s.QuotaBytes[role] < 1 {
			rep.addf(file, join(at, role), "is %d, want a number of bytes", s.QuotaBytes[role])
		}
	}
}

func checkDatabase(rep *report, id string, s Store) {
	const file = "stores.json"
	at := join(id, "database_secret")
	if s.Kind != StoreHyperdrive && s.DatabaseSecret != "" {
		rep.addf(file, at, "only a hyperdrive has a database")
	}
	if s.Kind == StoreHyperdrive && !bindingName.MatchString(s.DatabaseSecret) {
		rep.addf(file, at, "is %q, want a secret's name: capitals, digits and underscores", s.DatabaseSecret)
	}
}

// checkConsumers sees that a queue has one consumer at most, within Cloudflare's limits, and that no message is given up unseen.
func checkConsumers(c *Contract, rep *report) {
	const file = "workers.json"
	owner := map[string]string{}
	for _, name := range sorted(c.Workers) {
		for _, queue := range sorted(c.Workers[name].Consumes) {
			at := join(join(name, "consumes"), queue)
			checkStore(c, rep, file, at, queue, StoreQueue)
			if first, taken := owner[queue]; taken {
				rep.addf(file, at, "%s takes this queue's messages already: a queue has one consumer", first)
			}
			owner[queue] = name
			checkConsumer(c, rep, at, queue, c.Workers[name].Consumes[queue])
		}
	}
}

func checkConsumer(c *Contract, rep *report, at, queue string, how Consumer) {
	const file = "workers.json"
	for _, bound := range []struct {
		key           string
		value, lo, hi int
	}{
		{"batch", how.Batch, 1, 100},
		{"wait_ms", how.WaitMS, 1, 60_000},
		{"retries", how.Retries, 1, 100},
		{"retry_delay_s", how.RetryDelayS, 0, 86_400},
		{"max_concurrency", how.MaxConcurrency, 0, 250},
	} {
		if bound.value < bound.lo || bound.value > bound.hi {
			rep.addf(file, join(at, bound.key), "is %d, want from %d to %d", bound.value, bound.lo, bound.hi)
		}
	}
	if how.DeadLetter == "" {
		return
	}
	checkStore(c, rep, file, join(at, "dead_letter"), how.DeadLetter, StoreQueue)
	if how.DeadLetter == queue {
		rep.addf(file, join(at, "dead_letter"), "is the queue itself: a message that cannot be taken would go round for ever")
	} else if _, _, consumed := c.ConsumerOf(how.DeadLetter); !consumed {
		rep.addf(file, join(at, "dead_letter"), "nobody takes the messages of %q: they would be lost when it stops keeping them", how.DeadLetter)
	}
}

// cronShape is five fields of what Cloudflare takes; what each field may hold is for the API to say.
var cronShape = regexp.MustCompile(`^[0-9A-Za-z*,/#-]+( [0-9A-Za-z*,/#-]+){4}$`)

func checkCrons(c *Contract, rep *report) {
	for _, name := range sorted(c.Workers) {
		for _, expression := range sorted(c.Workers[name].Crons) {
			if !cronShape.MatchString(expression) {
				rep.addf("workers.json", join(join(name, "crons"), expression), "is no time: minute, hour, day of month, month, day of week, with one space between")
			}
		}
	}
}
