// Package contract is what stacks, Workers, policies and audits must agree on: JSON facts, read strictly and checked against each other.
package contract

import (
	"slices"
	"strings"
	"time"
)

// Contract is every fact of the platform; maps are keyed by the name each thing goes by everywhere.
type Contract struct {
	Workers map[string]Worker
	Stores  map[string]Store
	Keys    map[string]KeyFormat
	HTTP    HTTP
	Auth    Auth
	Models  Models
	SLO     map[string]Objective
	Uptime  map[string]Uptime
	Flow    map[string]Flow
	// Pressure says when work that can wait is turned away.
	Pressure Pressure
	Prices   Prices
	Limits   CallerLimits
	Envs     map[string]Env
	Gates    Gates

	slo    sloFile
	digest string
}

// Digest is the hex SHA-256 of the contract's files in canonical form: layout does not change it, a value does.
func (c *Contract) Digest() string { return c.digest }

// Worker is one script. Its name is the script's name in every environment.
type Worker struct {
	Why                string             `json:"why"`
	Entry              string             `json:"entry"` // from the repository's root
	Public             bool               `json:"public,omitempty"`
	CompatibilityDate  string             `json:"compatibility_date"`
	CompatibilityFlags []string           `json:"compatibility_flags,omitempty"`
	Bindings           map[string]Binding `json:"bindings"`

	Consumes map[string]Consumer `json:"consumes,omitempty"` // by store of kind queue
	Crons    map[string]Cron     `json:"crons,omitempty"`    // by expression, in UTC

	Objects map[string]ObjectClass `json:"objects,omitempty"` // Durable Object classes that it implements, over SQLite; by class
}

// Binding is one member of a Worker's env. Exactly one of its kinds is set.
type Binding struct {
	Why      string `json:"why"`
	KV       string `json:"kv,omitempty"`      // a store of kind kv
	R2       string `json:"r2,omitempty"`      // a store of kind r2
	Queue    string `json:"queue,omitempty"`   // a store of kind queue, to send to
	Service  string `json:"service,omitempty"` // another Worker
	Var      string `json:"var,omitempty"`     // a setting of the environment, as plain text
	AI       bool   `json:"ai,omitempty"`
	Version  bool   `json:"version,omitempty"`  // which version of the Worker runs
	Secret   bool   `json:"secret,omitempty"`   // the value is given at deploy time under the binding's own name
	Optional bool   `json:"optional,omitempty"` // of a secret: without a value there is no binding

	Hyperdrive string `json:"hyperdrive,omitempty"` // a store of kind hyperdrive
	Object     string `json:"object,omitempty"`     // a Durable Object class of some Worker
}

// BindingKind names what a binding is.
type BindingKind string

// The kinds of binding.
const (
	BindKV      BindingKind = "kv"
	BindR2      BindingKind = "r2"
	BindService BindingKind = "service"
	BindVar     BindingKind = "var"
	BindAI      BindingKind = "ai"
	BindSecret  BindingKind = "secret"

	BindQueue      BindingKind = "queue"
	BindHyperdrive BindingKind = "hyperdrive"
	BindVersion    BindingKind = "version"
	BindObject     BindingKind = "object"
)

// kinds lists the kinds that b sets; a checked contract has exactly one.
func (b Binding) kinds() []BindingKind {
	var set []BindingKind
	for _, k := range []struct {
		kind BindingKind
		is   bool
	}{
		{BindKV, b.KV != ""}, {BindR2, b.R2 != ""}, {BindService, b.Service != ""},
		{BindVar, b.Var != ""}, {BindAI, b.AI}, {BindSecret, b.Secret},
		{BindQueue, b.Queue != ""}, {BindHyperdrive, b.Hyperdrive != ""}, {BindVersion, b.Version},
		{BindObject, b.Object != ""},
	} {
		if k.is {
			set = append(set, k.kind)
		}
	}
	return set
}

// Kind is the one kind of a binding of a checked contract.
func (b Binding) Kind() BindingKind {
	if k := b.kinds(); len(k) == 1 {
		return k[0]
	}
	return ""
}

// HTTP is the public surface: which path goes where, and what the gateway enforces.
type HTTP struct {
	Limits  Limits  `json:"limits"`
	CORS    CORS    `json:"cors"`
	Forward Forward `json:"forward"`
	// Services bounds each Worker behind the gateway.
	Services map[string]Service `json:"services"`
	Paths    map[string]Path    `json:"paths"`
}

// Service is how long a Worker behind the gateway has to begin its answer.
type Service struct {
	Why       string `json:"why"`
	TimeoutMS int    `json:"timeout_ms"`
}

// TimeoutMS is how long the gateway waits for an answer of a path to begin.
func (c *Contract) TimeoutMS(p Path) int {
	if p.Streams {
		return c.HTTP.Limits.StreamTimeoutMS
	}
	if s, ok := c.HTTP.Services[p.Worker]; ok {
		return s.TimeoutMS
	}
	return c.HTTP.Limits.ServiceTimeoutMS
}

// Limits bound every request.
type Limits struct {
	Why              string `json:"why"`
	MaxBodyBytes     int    `json:"max_body_bytes"`
	MaxURLBytes      int    `json:"max_url_bytes"`
	ServiceTimeoutMS int    `json:"service_timeout_ms"`
	StreamTimeoutMS  int    `json:"stream_timeout_ms"` // instead of it where a body streams: the client's connection sets the pace
}

// CORS is what a preflight answers to an allowed origin.
type CORS struct {
	Why           string   `json:"why"`
	Methods       []string `json:"methods"`
	AllowHeaders  []string `json:"allow_headers"`
	ExposeHeaders []string `json:"expose_headers"`
	Vary          []string `json:"vary"`
	Credentials   bool     `json:"credentials"`
	MaxAgeS       int      `json:"max_age_s"`
}

// Forward lists the request headers that a service may see; those of Address only on a path that says so.
type Forward struct {
	Why     string   `json:"why"`
	Headers []string `json:"headers"`
	Address []string `json:"address"`
}

// Access says who may call a path.
type Access string

// The levels of access. At every level but none, a credential that does not verify is refused.
const (
	AccessNone     Access = "none"     // credentials are not looked at
	AccessOptional Access = "optional" // a token is verified when there is one
	AccessToken    Access = "token"    // a verified token, or the admin key
	AccessAdmin    Access = "admin"    // the admin key
)

// Audited says when a call with the admin key is kept in the admin log; a reading always is after.
type Audited string

// The times. A call that is kept before is not made when it cannot be kept; one that is kept after is made all the same, and the
// Worker's own log has the line.
const (
	AuditedBefore Audited = "before"
	AuditedAfter  Audited = "after"
)

// Path is one public path. HEAD goes with GET, and OPTIONS with all.
type Path struct {
	Why          string   `json:"why"`
	Aliases      []string `json:"aliases,omitempty"`
	Methods      []string `json:"methods"`
	Worker       string   `json:"worker"`
	Auth         Access   `json:"auth"`
	Address      bool     `json:"address,omitempty"`        // its Worker sees where the caller is
	MaxBodyBytes int      `json:"max_body_bytes,omitempty"` // instead of the limit for all paths
	// Streams says that a body goes to the Worker as it comes: it must declare its length, and may take as long as stream_timeout_ms.
	Streams bool `json:"streams,omitempty"`
	// Audited says how a call with the admin key that is no reading is kept in the admin log; before, where a user's path does not say.
	Audited Audited `json:"audited,omitempty"`
	// Sheds lists the methods that are turned away while usage is written too late: what they ask for can be asked for again.
	Sheds []string `json:"sheds,omitempty"`
	// Errors is the format of the path's errors where it is not the platform's own: ErrorsOpenAI, or empty.
	Errors string `json:"errors,omitempty"`
}

// ErrorsOpenAI is the format that OpenAI's client libraries read: {"error": {"message", "type", "param", "code"}}.
const ErrorsOpenAI = "openai"

// All lists a path and its aliases; p's own path is first.
func (p Path) All(path string) []string { return append([]string{path}, p.Aliases...) }

// PublicPaths lists every path and alias that the gateway answers, sorted.
func (c *Contract) PublicPaths() []string {
	var all []string
	for path, p := range c.HTTP.Paths {
		all = append(all, p.All(path)...)
	}
	slices.Sort(all)
	return all
}

// Gateway is the name of the one public Worker.
func (c *Contract) Gateway() string {
	for _, name := range sorted(c.Workers) {
		if c.Workers[name].Public {
			return name
		}
	}
	return ""
}

// Env is what varies by environment.
type Env struct {
	Why                string   `json:"why"`
	Hostname           string   `json:"hostname"`
	Zone               string   `json:"zone"`
	Issuer             string   `json:"issuer"`
	APIURL             string   `json:"api_url"`    // empty: the running local cloud says where it is
	AccountID          string   `json:"account_id"` // empty: from CLOUDFLARE_ACCOUNT_ID, or the local cloud
	AccountName        string   `json:"account_name"`
	TurnstileVerifyURL string   `json:"turnstile_verify_url"`
	GroqBase           string   `json:"groq_base"`   // without a slash at the end
	OpenAIBase         string   `json:"openai_base"` // without a slash at the end
	Origins            []string `json:"origins"`
}

// settings are the texts of an environment that a var binding may name.
func (e Env) settings() map[string]string {
	return map[string]string{
		"allowed_origins":      strings.Join(e.Origins, ","),
		"groq_base":            e.GroqBase,
		"hostname":             e.Hostname,
		"issuer":               e.Issuer,
		"openai_base":          e.OpenAIBase,
		"turnstile_verify_url": e.TurnstileVerifyURL,
	}
}

// Setting is the text that a var binding naming it has in this environment.
func (e Env) Setting(name string) (text string, ok bool) {
	text, ok = e.settings()[name]
	return text, ok
}

// seconds makes a Duration of a whole number of seconds.
func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
