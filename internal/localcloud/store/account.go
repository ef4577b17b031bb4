package store

import (
	"encoding/json"
	"time"
)

// Collection names one ordered set of documents of the account.
type Collection string

// The collections, with the document each holds and what its id is.
const (
	Zones       Collection = "zones"       // Zone by id
	DNSRecords  Collection = "dns_records" // DNSRecord by zoneID/recordID
	Routes      Collection = "routes"      // Route by zoneID/routeID
	Domains     Collection = "domains"     // CustomDomain by id
	Scripts     Collection = "scripts"     // Script by name
	Versions    Collection = "versions"    // Version by scriptName/versionID
	Namespaces  Collection = "kv"          // KVNamespace by id
	Queues      Collection = "queues"      // Queue by id
	Buckets     Collection = "r2"          // Bucket by name
	Hyperdrives Collection = "hyperdrive"  // Hyperdrive by id
	DOClasses   Collection = "do"          // DONamespace by id
	Pages       Collection = "pages"       // PagesProject by name
	Rulesets    Collection = "rulesets"    // Ruleset by zoneID/phase
	Tokens      Collection = "tokens"      // Token by SHA-256 of the secret, hex
	Settings    Collection = "settings"    // small facts of the account itself, by name
)

// Zone is a DNS zone of the account.
type Zone struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Status  string    `json:"status"`
	Created time.Time `json:"created_on"`
}

// DNSRecord is one record of a zone; only a proxied one lets a Worker route run.
type DNSRecord struct {
	ID       string    `json:"id"`
	ZoneID   string    `json:"zone_id"`
	Type     string    `json:"type"`
	Name     string    `json:"name"`
	Content  string    `json:"content"`
	TTL      int       `json:"ttl"`
	Proxied  bool      `json:"proxied"`
	Comment  string    `json:"comment,omitempty"`
	Created  time.Time `json:"created_on"`
	Modified time.Time `json:"modified_on"`
}

// Route maps a URL pattern of a zone to a script; an empty script is a null route.
type Route struct {
	ID      string `json:"id"`
	ZoneID  string `json:"zone_id"`
	Pattern string `json:"pattern"`
	Script  string `json:"script,omitempty"`
}

// CustomDomain gives one exact hostname to a script.
type CustomDomain struct {
	ID       string `json:"id"`
	ZoneID   string `json:"zone_id"`
	ZoneName string `json:"zone_name"`
	Hostname string `json:"hostname"`
	Service  string `json:"service"`
	CertID   string `json:"cert_id"`
}

// Script is a Worker: what outlives its versions.
type Script struct {
	Name          string          `json:"name"`
	Tag           string          `json:"tag"` // immutable id
	Created       time.Time       `json:"created_on"`
	Modified      time.Time       `json:"modified_on"`
	MigrationTag  string          `json:"migration_tag,omitempty"`
	Subdomain     bool            `json:"subdomain_enabled"`
	Previews      bool            `json:"previews_enabled"`
	Schedules     []Schedule      `json:"schedules,omitempty"`
	Observability json.RawMessage `json:"observability,omitempty"`
	Logpush       bool            `json:"logpush,omitempty"`
	TailConsumers json.RawMessage `json:"tail_consumers,omitempty"`
	Tags          []string        `json:"tags,omitempty"`
	LastVersion   int             `json:"last_version"` // number of the newest version
	Deployments   []Deployment    `json:"deployments"`  // newest first
}

// Schedule is one cron trigger.
type Schedule struct {
	Cron     string    `json:"cron"`
	Created  time.Time `json:"created_on"`
	Modified time.Time `json:"modified_on"`
}

// Deployment says which versions serve, and how much of the traffic each takes.
type Deployment struct {
	ID          string            `json:"id"`
	Source      string            `json:"source"`
	Strategy    string            `json:"strategy"`
	Created     time.Time         `json:"created_on"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Versions    []VersionShare    `json:"versions"`
}

// VersionShare is a version's part of a deployment, in percent.
type VersionShare struct {
	VersionID  string  `json:"version_id"`
	Percentage float64 `json:"percentage"`
}

// Version is one immutable upload: code, bindings and compatibility settings.
type Version struct {
	ID                 string            `json:"id"`
	Number             int               `json:"number"`
	Script             string            `json:"script"`
	Created            time.Time         `json:"created_on"`
	MainModule         string            `json:"main_module"`
	Modules            []Module          `json:"modules"`
	Bindings           []Binding         `json:"bindings"`
	CompatibilityDate  string            `json:"compatibility_date"`
	CompatibilityFlags []string          `json:"compatibility_flags,omitempty"`
	Handlers           []string          `json:"handlers,omitempty"`
	NamedHandlers      []NamedHandler    `json:"named_handlers,omitempty"`
	DOClasses          []DOClass         `json:"do_classes,omitempty"` // classes this script implements, in order
	Placement          json.RawMessage   `json:"placement,omitempty"`
	Limits             json.RawMessage   `json:"limits,omitempty"`
	UsageModel         string            `json:"usage_model,omitempty"`
	Annotations        map[string]string `json:"annotations,omitempty"`
	ETag               string            `json:"etag"` // hex SHA-256 over the modules
	StartupMS          int               `json:"startup_time_ms"`
}

// Module is one part of a version; its bytes are the blob of that digest.
type Module struct {
	Name   string `json:"name"`
	Type   string `json:"type"` // media type, as uploaded
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
}

// NamedHandler is a named export and the events it answers.
type NamedHandler struct {
	Name     string   `json:"name"`
	Handlers []string `json:"handlers"`
}

// DOClass is a Durable Object class that a script implements.
type DOClass struct {
	Name      string `json:"name"`
	SQLite    bool   `json:"sqlite"`
	UniqueKey string `json:"unique_key"` // never changes, also when the class is renamed
}

// DONamespace is the account's record of a Durable Object class.
type DONamespace struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Script    string `json:"script"`
	Class     string `json:"class"`
	UseSQLite bool   `json:"use_sqlite"`
	UniqueKey string `json:"unique_key"`
}

// Binding is a binding in Cloudflare's own wire shape. Secret text is kept, and never given out by the API.
type Binding struct {
	Name        string          `json:"name"`
	Type        string          `json:"type"`
	Text        string          `json:"text,omitempty"`         // plain_text, secret_text
	JSON        json.RawMessage `json:"json,omitempty"`         // json
	NamespaceID string          `json:"namespace_id,omitempty"` // kv_namespace, durable_object_namespace, ratelimit
	BucketName  string          `json:"bucket_name,omitempty"`  // r2_bucket
	QueueName   string          `json:"queue_name,omitempty"`   // queue
	Service     string          `json:"service,omitempty"`      // service
	Environment string          `json:"environment,omitempty"`  // service
	Entrypoint  string          `json:"entrypoint,omitempty"`   // service
	ClassName   string          `json:"class_name,omitempty"`   // durable_object_namespace
	ScriptName  string          `json:"script_name,omitempty"`  // durable_object_namespace
	ID          string          `json:"id,omitempty"`           // hyperdrive
	Dataset     string          `json:"dataset,omitempty"`      // analytics_engine
	Part        string          `json:"part,omitempty"`         // text_blob, data_blob, wasm_module
	Simple      *RateLimit      `json:"simple,omitempty"`       // ratelimit
	Extra       json.RawMessage `json:"extra,omitempty"`        // anything else the upload said, kept to be given back
}

// RateLimit is the setting of a ratelimit binding: limit calls in period seconds.
type RateLimit struct {
	Limit  int `json:"limit"`
	Period int `json:"period"`
}

// KVNamespace is a Workers KV namespace.
type KVNamespace struct {
	ID      string    `json:"id"`
	Title   string    `json:"title"`
	Created time.Time `json:"created_on"`
}

// Queue is a message queue with at most one active consumer.
type Queue struct {
	ID         string     `json:"queue_id"`
	Name       string     `json:"queue_name"`
	Created    time.Time  `json:"created_on"`
	Modified   time.Time  `json:"modified_on"`
	DelayS     int        `json:"delivery_delay"`
	Paused     bool       `json:"delivery_paused"`
	RetentionS int        `json:"message_retention_period"`
	Consumers  []Consumer `json:"consumers,omitempty"`
}

// Consumer takes messages off a queue: a Worker's queue handler, or HTTP pull.
type Consumer struct {
	ID              string    `json:"consumer_id"`
	Type            string    `json:"type"` // worker, http_pull
	Script          string    `json:"script_name,omitempty"`
	DeadLetterQueue string    `json:"dead_letter_queue,omitempty"`
	BatchSize       int       `json:"batch_size"`
	MaxRetries      int       `json:"max_retries"`
	MaxWaitMS       int       `json:"max_wait_time_ms"`
	MaxConcurrency  int       `json:"max_concurrency,omitempty"`
	RetryDelayS     int       `json:"retry_delay,omitempty"`
	VisibilityMS    int       `json:"visibility_timeout_ms,omitempty"`
	Created         time.Time `json:"created_on"`
}

// Bucket is an R2 bucket.
type Bucket struct {
	Name         string          `json:"name"`
	Location     string          `json:"location,omitempty"`
	StorageClass string          `json:"storage_class,omitempty"`
	Jurisdiction string          `json:"jurisdiction,omitempty"`
	Created      time.Time       `json:"creation_date"`
	Lifecycle    []LifecycleRule `json:"lifecycle,omitempty"`
	CORS         json.RawMessage `json:"cors,omitempty"`
}

// LifecycleRule is one R2 object lifecycle rule, in Cloudflare's wire shape.
type LifecycleRule struct {
	ID         string `json:"id"`
	Enabled    bool   `json:"enabled"`
	Conditions struct {
		Prefix string `json:"prefix"`
	} `json:"conditions"`
	Delete         *LifecycleAction  `json:"deleteObjectsTransition,omitempty"`
	Transition     []LifecycleAction `json:"storageClassTransitions,omitempty"`
	AbortMultipart *LifecycleAction  `json:"abortMultipartUploadsTransition,omitempty"`
}

// LifecycleAction happens to the objects that meet its condition.
type LifecycleAction struct {
	Condition    LifecycleCondition `json:"condition"`
	StorageClass string             `json:"storageClass,omitempty"`
}

// LifecycleCondition is an age in seconds, or a date.
type LifecycleCondition struct {
	Type   string     `json:"type"` // Age, Date
	MaxAge int64      `json:"maxAge,omitempty"`
	Date   *time.Time `json:"date,omitempty"`
}

// Hyperdrive is a database connection configuration; the password is kept, and never given out by the API.
type Hyperdrive struct {
	ID              string           `json:"id"`
	Name            string           `json:"name"`
	Origin          HyperdriveOrigin `json:"origin"`
	Caching         json.RawMessage  `json:"caching,omitempty"`
	MTLS            json.RawMessage  `json:"mtls,omitempty"`
	ConnectionLimit int              `json:"origin_connection_limit,omitempty"`
	Created         time.Time        `json:"created_on"`
	Modified        time.Time        `json:"modified_on"`
}

// HyperdriveOrigin says where the database is.
type HyperdriveOrigin struct {
	Scheme   string `json:"scheme"`
	Host     string `json:"host"`
	Port     int    `json:"port"`
	Database string `json:"database"`
	User     string `json:"user"`
	Password string `json:"password,omitempty"`
}

// PagesProject is a Pages project with its domains; it exists here so that audits can find it on a hostname.
type PagesProject struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Subdomain string    `json:"subdomain"`
	Domains   []string  `json:"domains"`
	Created   time.Time `json:"created_on"`
}

// Ruleset is the entrypoint ruleset of a phase, kept as it was given.
type Ruleset struct {
	ID     string          `json:"id"`
	ZoneID string          `json:"zone_id,omitempty"`
	Phase  string          `json:"phase"`
	Rules  json.RawMessage `json:"rules"`
}

// Token is an API token: a hash of its secret, and what it may do.
type Token struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Status      string   `json:"status"`
	Permissions []string `json:"permissions"` // Cloudflare's permission group names, or "*" for all
}
