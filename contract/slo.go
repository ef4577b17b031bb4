package contract

// sloFile is slo.json: what is promised of requests, of the work behind them, and what is done when that falls behind.
type sloFile struct {
	Latency  map[string]Objective `json:"latency"`
	Uptime   map[string]Uptime    `json:"uptime"`
	Flow     map[string]Flow      `json:"flow"`
	Pressure Pressure             `json:"pressure"`
}

// Objective is a promise about latency, proved by probing a path.
type Objective struct {
	Why        string  `json:"why"`
	Quantile   float64 `json:"quantile"`
	MaxMS      int     `json:"max_ms"`
	Probe      Probe   `json:"probe"`
	Confidence float64 `json:"confidence"`
}

// Probe is the request that measures an objective.
type Probe struct {
	Path   string `json:"path"`
	Method string `json:"method"`
	As     As     `json:"as,omitempty"`
	// Headers are sent along with those that every request has.
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"` // of a POST: a JSON object
	Answer  Answer            `json:"answer,omitempty"`
	// RatePerS is how often it may be asked when nobody says; 0 is as often as any.
	RatePerS int `json:"rate_per_s,omitempty"`
	// USDPer1000 is what a thousand of them buy elsewhere, about.
	USDPer1000 float64 `json:"usd_per_1000,omitempty"`
}

// As names who asks.
type As string

// Who asks. Both are made up for one run.
const (
	AsNobody    As = ""
	AsAccount   As = "account"   // one with credits, for every request
	AsStrangers As = "strangers" // one whom the platform never saw, anew for each request
)

// Answer is how an answer shows that it took the way that is measured; without a header any way will do.
type Answer struct {
	Header string `json:"header"`
	Value  string `json:"value"`
}

// Uptime is a promise about the share of requests that a Worker ends well, judged from live traffic.
type Uptime struct {
	Why        string  `json:"why"`
	Worker     string  `json:"worker"`
	Share      float64 `json:"share"`
	Confidence float64 `json:"confidence"`
}

// FlowKind names what is promised of work behind the requests.
type FlowKind string

// The kinds of flow.
const (
	FlowDrain FlowKind = "drain" // a burst into a queue is in the ledger, exactly once, and the queue is empty
	FlowAgree FlowKind = "agree" // what KV says of money is what the ledger says
)

// Flow is a promise about work that happens behind the requests, by the time it may take.
type Flow struct {
	Why      string   `json:"why"`
	Kind     FlowKind `json:"kind"`
	Store    string   `json:"store"`              // the queue that drains, or the KV namespace that agrees
	Messages int      `json:"messages,omitempty"` // of a drain: the size of the burst
	MaxS     int      `json:"max_s"`
}

// Pressure bounds a queue: beyond either bound what can be asked again is turned away, and what has happened already never is.
type Pressure struct {
	Why         string `json:"why"`
	Queue       string `json:"queue"`
	MaxBacklog  int    `json:"max_backlog_messages"`
	MaxLagS     int    `json:"max_lag_s"`     // the age of the oldest event that is not in the ledger
	MaxStaleS   int    `json:"max_stale_s"`   // a reading older than this says nothing
	RetryAfterS int    `json:"retry_after_s"` // what those who are turned away are told
}

// Prices are what usage costs. Money is whole micro-credits everywhere: no fraction is ever rounded twice.
type Prices struct {
	Unit   Unit       `json:"unit"`
	Tokens TokenPrice `json:"tokens"`
	Audio  AudioPrice `json:"audio"`
}

// Unit is how credits are counted.
type Unit struct {
	Why                   string `json:"why"`
	MicroCreditsPerCredit int    `json:"micro_credits_per_credit"`
}

// TokenPrice is what a model's tokens cost, in and out alike.
type TokenPrice struct {
	Why               string `json:"why"`
	MicroCreditsPer1K int    `json:"micro_credits_per_1k"`
}

// AudioPrice is what it costs to have audio written down; a started millisecond counts.
type AudioPrice struct {
	Why                   string `json:"why"`
	MicroCreditsPerSecond int    `json:"micro_credits_per_second"`
}
