package contract

import (
	"encoding/json"
	"net/http"
	"slices"
)

func checkSLO(c *Contract, rep *report) {
	const file = "slo.json"
	for _, id := range sorted(c.SLO) {
		o, at := c.SLO[id], join("latency", id)
		p, ok := c.HTTP.Paths[o.Probe.Path]
		if !ok {
			rep.addf(file, join(join(at, "probe"), "path"), "names %q, which is not a path of http.json", o.Probe.Path)
		} else if !slices.Contains(p.Methods, o.Probe.Method) {
			rep.addf(file, join(join(at, "probe"), "method"), "%s is not a method of %s in http.json", o.Probe.Method, o.Probe.Path)
		}
		checkProbe(o.Probe, join(at, "probe"), rep)
		if o.Quantile <= 0 || o.Quantile >= 1 {
			rep.addf(file, join(at, "quantile"), "is %v, want between 0 and 1", o.Quantile)
		}
		if o.Confidence < 0.5 || o.Confidence >= 1 {
			rep.addf(file, join(at, "confidence"), "is %v, want from 0.5 to below 1", o.Confidence)
		}
		if o.MaxMS == 0 {
			rep.addf(file, join(at, "max_ms"), "is 0: nothing can keep that")
		}
	}
}

func checkProbe(p Probe, at string, rep *report) {
	const file = "slo.json"
	if p.As != AsNobody && p.As != AsAccount && p.As != AsStrangers {
		rep.addf(file, join(at, "as"), "is %q, want %s or %s", p.As, AsAccount, AsStrangers)
	}
	var object map[string]any
	if post := p.Method == http.MethodPost; post != (p.Body != "") {
		rep.addf(file, join(at, "body"), "goes with POST, and with POST alone")
	} else if post && json.Unmarshal([]byte(p.Body), &object) != nil {
		rep.addf(file, join(at, "body"), "is not a JSON object")
	}
	if (p.Answer.Header == "") != (p.Answer.Value == "") {
		rep.addf(file, join(at, "answer"), "has a header without a value, or a value without a header")
	}
	if p.USDPer1000 < 0 {
		rep.addf(file, join(at, "usd_per_1000"), "is %v: nobody pays for being asked", p.USDPer1000)
	}
}

func checkUptime(c *Contract, rep *report) {
	const file = "slo.json"
	for _, id := range sorted(c.Uptime) {
		u, at := c.Uptime[id], join("uptime", id)
		if _, ok := c.Workers[u.Worker]; !ok {
			rep.addf(file, join(at, "worker"), "names %q, which is not a Worker of workers.json", u.Worker)
		}
		if u.Share <= 0 || u.Share >= 1 {
			rep.addf(file, join(at, "share"), "is %v, want between 0 and 1", u.Share)
		}
		if u.Confidence < 0.5 || u.Confidence >= 1 {
			rep.addf(file, join(at, "confidence"), "is %v, want from 0.5 to below 1", u.Confidence)
		}
		_, latency := c.SLO[id]
		if _, flow := c.Flow[id]; latency || flow {
			rep.addf(file, at, "is the name of another objective too: a command could not tell them apart")
		}
	}
}

func checkFlow(c *Contract, rep *report) {
	const file = "slo.json"
	for _, id := range sorted(c.Flow) {
		f, at := c.Flow[id], join("flow", id)
		switch f.Kind {
		case FlowDrain:
			checkStore(c, rep, file, join(at, "store"), f.Store, StoreQueue)
			if f.Messages == 0 {
				rep.addf(file, join(at, "messages"), "is 0: an empty queue is drained at once")
			}
		case FlowAgree:
			checkStore(c, rep, file, join(at, "store"), f.Store, StoreKV)
			if f.Messages != 0 {
				rep.addf(file, join(at, "messages"), "only a drain has messages")
			}
		default:
			rep.addf(file, join(at, "kind"), "is %q, want agree or drain", f.Kind)
		}
		if f.MaxS == 0 {
			rep.addf(file, join(at, "max_s"), "is 0: nothing can keep that")
		}
		if _, taken := c.SLO[id]; taken {
			rep.addf(file, at, "is the name of a latency objective too: a command could not tell them apart")
		}
	}
}

func checkPressure(c *Contract, rep *report) {
	const file = "slo.json"
	p := c.Pressure
	checkStore(c, rep, file, "pressure.queue", p.Queue, StoreQueue)
	for _, rule := range []struct {
		broken    bool
		path, msg string
	}{
		{p.MaxBacklog == 0, "pressure.max_backlog_messages", "is 0: the first message would turn callers away"},
		{p.MaxLagS == 0, "pressure.max_lag_s", "is 0: every event is younger for a moment"},
		{p.MaxStaleS == 0, "pressure.max_stale_s", "is 0: no reading would ever count"},
		{p.RetryAfterS == 0, "pressure.retry_after_s", "is 0: those turned away would be back at once"},
	} {
		if rule.broken {
			rep.addf(file, rule.path, "%s", rule.msg)
		}
	}
}

func checkPrices(c *Contract, rep *report) {
	const file = "prices.json"
	unit, price := c.Prices.Unit.MicroCreditsPerCredit, c.Prices.Tokens.MicroCreditsPer1K
	if unit != 1_000_000 {
		rep.addf(file, "unit.micro_credits_per_credit", "is %d: micro is a millionth, and the ledger's amounts are written down", unit)
	}
	if price == 0 {
		rep.addf(file, "tokens.micro_credits_per_1k", "is 0: nothing would ever be paid for")
	}
	if price%1000 != 0 {
		rep.addf(file, "tokens.micro_credits_per_1k", "is %d, which is no whole number of micro-credits a token", price)
	}
	if c.Prices.Audio.MicroCreditsPerSecond == 0 {
		rep.addf(file, "audio.micro_credits_per_second", "is 0: nothing that is heard would be paid for")
	}
}
