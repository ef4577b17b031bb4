// Package snapshot keeps what an environment consists of as a file with a digest, and tells by meaning in what two of them differ.
package snapshot

import (
	"time"

	"github.com/cognomega/edge/internal/cfapi"
)

// Schema names the format of a snapshot file.
const Schema = "cogctl/env.snapshot/v1"

// Fields is an object in the API's own shape.
type Fields = cfapi.Fields

// Snapshot is one environment at one time. Every list is sorted and every map is keyed by what people call the thing, so that
// the same account gives the same content; the digest covers all but the time.
type Snapshot struct {
	Digest   string            `json:"digest"`
	At       time.Time         `json:"at"`
	Env      string            `json:"env"`
	Account  string            `json:"account_id"`
	Zone     Zone              `json:"zone"`
	Settings map[string]string `json:"settings"` // what the contract lets vary by environment
	Content  Content           `json:"content"`
	Unseen   []Unseen          `json:"unseen"`
	Inside   *Inside           `json:"inside,omitempty"` // not in what is declared, nor in older files

	declared bool           // made of the contract: ids, digests and places are not said
	optional map[string]any // by path: what may be there or not, and with which value when that matters
}

// Zone is the DNS zone of the environment's hostname.
type Zone struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Content is what the environment consists of.
type Content struct {
	Workers     map[string]Worker            `json:"workers"`
	Routes      map[string]Route             `json:"routes"` // by pattern
	Domains     map[string]Domain            `json:"custom_domains"`
	DNS         map[string]map[string]Record `json:"dns"` // by "TYPE name", then by what the record holds
	Namespaces  map[string]Namespace         `json:"kv_namespaces"`
	Queues      map[string]Queue             `json:"queues"`
	Buckets     map[string]Bucket            `json:"r2_buckets"`
	Hyperdrives map[string]Hyperdrive        `json:"hyperdrives"`
}

// Unseen is a section that the token may not read: it is empty in the snapshot, and nothing is concluded from that.
type Unseen struct {
	Section string `json:"section"`
	Why     string `json:"why"`
	Hint    string `json:"hint,omitempty"`
}

// Worker is a script with everything that decides what it does, except its code, which its digests stand for.
type Worker struct {
	Serving            []Share                `json:"serving"`
	Bindings           map[string]Fields      `json:"bindings"`
	Secrets            []string               `json:"secrets"` // names alone
	CompatibilityDate  string                 `json:"compatibility_date"`
	CompatibilityFlags []string               `json:"compatibility_flags,omitempty"`
	Placement          Fields                 `json:"placement,omitempty"`
	Limits             Fields                 `json:"limits,omitempty"`
	Observability      Fields                 `json:"observability,omitempty"`
	Logpush            bool                   `json:"logpush"`
	TailConsumers      []Fields               `json:"tail_consumers,omitempty"`
	Tags               []string               `json:"tags,omitempty"`
	WorkersDev         bool                   `json:"workers_dev"`
	PreviewURLs        bool                   `json:"preview_urls"`
	Crons              []string               `json:"crons,omitempty"`
	Objects            map[string]ObjectClass `json:"durable_objects,omitempty"` // by class
	MigrationTag       string                 `json:"migration_tag,omitempty"`
}

// Share is a version that takes traffic, and how much.
type Share struct {
	Percentage float64 `json:"percentage"`
	VersionID  string  `json:"version_id,omitempty"`
	Number     int     `json:"number,omitempty"`
	ETag       string  `json:"etag,omitempty"`   // Cloudflare's digest of the code
	Bundle     string  `json:"bundle,omitempty"` // the head of our own, from the deployment's tag
}

// ObjectClass is a Durable Object class that a Worker implements.
type ObjectClass struct {
	ID     string `json:"id,omitempty"`
	SQLite bool   `json:"sqlite"`
}

// Route gives a pattern to a Worker; to none, it is a null route.
type Route struct {
	ID     string `json:"id,omitempty"`
	Worker string `json:"worker"`
}

// Domain gives a hostname to a Worker.
type Domain struct {
	ID     string `json:"id,omitempty"`
	Worker string `json:"worker"`
	Zone   string `json:"zone"`
}

// Record is one DNS record; only a proxied one lets Workers run.
type Record struct {
	ID      string `json:"id,omitempty"`
	Proxied bool   `json:"proxied"`
	TTL     int    `json:"ttl"` // seconds; 1 is automatic
}

// Namespace is a KV namespace.
type Namespace struct {
	ID string `json:"id,omitempty"`
}

// Queue is a message queue with what takes its messages.
type Queue struct {
	ID             string              `json:"id,omitempty"`
	DeliveryDelayS int                 `json:"delivery_delay_s"`
	Paused         bool                `json:"delivery_paused"`
	RetentionS     int                 `json:"message_retention_s"`
	Consumers      map[string]Consumer `json:"consumers,omitempty"` // by Worker, or http_pull
}

// Consumer takes the messages of a queue.
type Consumer struct {
	ID              string                 `json:"id,omitempty"`
	Type            string                 `json:"type"`
	DeadLetterQueue string                 `json:"dead_letter_queue,omitempty"`
	Settings        cfapi.ConsumerSettings `json:"settings"`
}

// Bucket is an R2 bucket with all its lifecycle rules.
type Bucket struct {
	Location     string          `json:"location,omitempty"`
	StorageClass string          `json:"storage_class,omitempty"` // unless Standard
	Jurisdiction string          `json:"jurisdiction,omitempty"`
	Lifecycle    map[string]Rule `json:"lifecycle"` // by rule id
}

// Rule says what becomes of the objects under a prefix.
type Rule struct {
	Enabled        bool     `json:"enabled"`
	Prefix         string   `json:"prefix"`
	Delete         *Action  `json:"delete,omitempty"`
	Transitions    []Action `json:"transitions,omitempty"`
	AbortMultipart *Action  `json:"abort_multipart,omitempty"`
}

// Action happens to an object at an age or on a date.
type Action struct {
	AfterS       int64  `json:"after_s,omitempty"`
	Date         string `json:"date,omitempty"`
	StorageClass string `json:"storage_class,omitempty"`
}

// Hyperdrive is a database connection, without its password.
type Hyperdrive struct {
	ID              string                 `json:"id,omitempty"`
	Origin          cfapi.HyperdriveOrigin `json:"origin"`
	Caching         Fields                 `json:"caching,omitempty"`
	MTLS            Fields                 `json:"mtls,omitempty"`
	ConnectionLimit int                    `json:"origin_connection_limit,omitempty"`
}

// Sections counts what the snapshot holds, by section.
func (c Content) Sections() map[string]int {
	records := 0
	for _, set := range c.DNS {
		records += len(set)
	}
	return map[string]int{
		secWorkers: len(c.Workers), secRoutes: len(c.Routes), secDomains: len(c.Domains), secDNS: records,
		secNamespaces: len(c.Namespaces), secQueues: len(c.Queues), secBuckets: len(c.Buckets), secHyperdrives: len(c.Hyperdrives),
	}
}

// The sections, as the file names them.
const (
	secWorkers     = "workers"
	secRoutes      = "routes"
	secDomains     = "custom_domains"
	secDNS         = "dns"
	secNamespaces  = "kv_namespaces"
	secQueues      = "queues"
	secBuckets     = "r2_buckets"
	secHyperdrives = "hyperdrives"
)
