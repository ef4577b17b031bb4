package contract

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// check holds the files against each other. Every rule reports all it finds.
func check(c *Contract, rep *report) {
	for _, rule := range []func(*Contract, *report){
		checkWorkers, checkBindings, checkConsumers, checkCrons, checkGateway, checkStores, checkKeys, checkCORS, checkPaths, checkServices, checkReach,
		checkAuth, checkSLO, checkUptime, checkFlow, checkPressure, checkPrices, checkEnvs, checkOrigins, checkModels, checkGates,
		checkObjects, checkLimits,
	} {
		rule(c, rep)
	}
}

var (
	workerName  = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
	bindingName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	className   = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,62}$`)
	bucketName  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)
)

func checkWorkers(c *Contract, rep *report) {
	const file = "workers.json"
	for _, name := range sorted(c.Workers) {
		w := c.Workers[name]
		if !workerName.MatchString(name) {
			rep.addf(file, name, "is no Worker name: lower-case letters, digits and dashes, at most 63")
		}
		if want := "workers/" + name + "/src/worker.ts"; w.Entry != want {
			rep.addf(file, join(name, "entry"), "is %q, want %q: a Worker's folder has its name", w.Entry, want)
		}
		if _, err := time.Parse(time.DateOnly, w.CompatibilityDate); err != nil {
			rep.addf(file, join(name, "compatibility_date"), "is %q, want YYYY-MM-DD", w.CompatibilityDate)
		}
	}
}

func checkBindings(c *Contract, rep *report) {
	const file = "workers.json"
	for _, name := range sorted(c.Workers) {
		bindings := c.Workers[name].Bindings
		for _, b := range sorted(bindings) {
			at := join(join(name, "bindings"), b)
			if !bindingName.MatchString(b) {
				rep.addf(file, at, "is no binding name: capitals, digits and underscores")
			}
			if kinds := bindings[b].kinds(); len(kinds) != 1 {
				rep.addf(file, at, "has %d kinds, want exactly one of ai, hyperdrive, kv, object, queue, r2, secret, service, var, version", len(kinds))
				continue
			}
			checkTarget(c, rep, name, at, bindings[b])
		}
	}
}

// checkTarget sees that what a binding points at exists.
func checkTarget(c *Contract, rep *report, worker, at string, b Binding) {
	const file = "workers.json"
	if b.Optional && !b.Secret {
		rep.addf(file, join(at, "optional"), "only a secret can be optional")
	}
	switch b.Kind() {
	case BindKV:
		checkStore(c, rep, file, join(at, "kv"), b.KV, StoreKV)
	case BindR2:
		checkStore(c, rep, file, join(at, "r2"), b.R2, StoreR2)
	case BindQueue:
		checkStore(c, rep, file, join(at, "queue"), b.Queue, StoreQueue)
	case BindHyperdrive:
		checkStore(c, rep, file, join(at, "hyperdrive"), b.Hyperdrive, StoreHyperdrive)
	case BindObject:
		if _, ok := c.ObjectOwner(b.Object); !ok {
			rep.addf(file, join(at, "object"), "names class %q, which no Worker has among its objects", b.Object)
		}
	case BindService:
		if _, ok := c.Workers[b.Service]; !ok {
			rep.addf(file, join(at, "service"), "names Worker %q, which workers.json does not have", b.Service)
		}
		if b.Service == worker {
			rep.addf(file, join(at, "service"), "binds a Worker to itself")
		}
	case BindVar:
		if _, ok := (Env{}).Setting(b.Var); !ok {
			rep.addf(file, join(at, "var"), "names setting %q, which an environment does not have (has: %s)", b.Var, strings.Join(sorted(Env{}.settings()), ", "))
		}
	}
}

func checkStore(c *Contract, rep *report, file, at, name string, want StoreKind) {
	s, ok := c.Stores[name]
	if !ok {
		rep.addf(file, at, "names store %q, which stores.json does not have", name)
	} else if s.Kind != want {
		rep.addf(file, at, "names store %q, which is of kind %s, want %s", name, s.Kind, want)
	}
}

// checkGateway sees that a hostname has exactly one owner.
func checkGateway(c *Contract, rep *report) {
	var public []string
	for _, name := range sorted(c.Workers) {
		if c.Workers[name].Public {
			public = append(public, name)
		}
	}
	if len(public) == 0 {
		rep.addf("workers.json", "", "no Worker is public: nobody owns the hostname")
	}
	for _, name := range public[min(1, len(public)):] {
		rep.addf("workers.json", join(name, "public"), "is a second owner of the hostname, which %s owns", public[0])
	}
}

func checkKeys(c *Contract, rep *report) {
	const file = "keys.json"
	spelt := map[string]string{}
	for _, id := range sorted(c.Keys) {
		f := c.Keys[id]
		if s, ok := c.Stores[f.Store]; !ok {
			rep.addf(file, join(id, "store"), "names store %q, which stores.json does not have", f.Store)
		} else if !s.Kind.HasKeys() {
			rep.addf(file, join(id, "store"), "names store %q, which is of kind %s and has no keys", f.Store, s.Kind)
		}
		names := f.Holes()
		if strings.ContainsAny(hole.ReplaceAllString(f.Format, ""), "{} ") || f.Format == "" {
			rep.addf(file, join(id, "format"), "is %q: holes are {lower_case}, and there are no spaces", f.Format)
		}
		if len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
			rep.addf(file, join(id, "format"), "has a hole twice")
		}
		shape := f.Store + ":" + hole.ReplaceAllString(f.Format, "{}")
		if first, taken := spelt[shape]; taken {
			rep.addf(file, join(id, "format"), "spells the same keys as %q", first)
		}
		spelt[shape] = id
	}
}
