package contract

// StoreKind names what a store is.
type StoreKind string

// The kinds of store.
const (
	StoreKV StoreKind = "kv"
	StoreR2 StoreKind = "r2"

	StoreQueue      StoreKind = "queue"
	StoreHyperdrive StoreKind = "hyperdrive"
)

var storeKinds = []StoreKind{StoreHyperdrive, StoreKV, StoreQueue, StoreR2}

// HasKeys tells whether what is in the store is found by a key.
func (k StoreKind) HasKeys() bool { return k == StoreKV || k == StoreR2 }

// MaxKeyBytes is the longest key Cloudflare takes, by kind of store.
func (k StoreKind) MaxKeyBytes() int {
	if k == StoreR2 {
		return 1024
	}
	return 512
}

// Store is what holds data: a KV namespace, an R2 bucket, a queue, or a database behind Hyperdrive.
type Store struct {
	Why       string                   `json:"why"`
	Kind      StoreKind                `json:"kind"`
	Name      string                   `json:"name"`                // the namespace's title, or the name of the bucket, queue or configuration
	Lifecycle map[string]LifecycleRule `json:"lifecycle,omitempty"` // of an R2 bucket, by rule id

	// QuotaBytes, of an R2 bucket that users write to, is what each role's account may keep in it.
	QuotaBytes map[string]int `json:"quota_bytes,omitempty"`

	// DatabaseSecret, of a Hyperdrive configuration, names the secret that is the database's connection string. Its answers are
	// never cached: a balance that was right a minute ago is wrong.
	DatabaseSecret string `json:"database_secret,omitempty"`
}

// LifecycleRule says what becomes of a bucket's objects; 0 days means never.
type LifecycleRule struct {
	Why                       string `json:"why"`
	Prefix                    string `json:"prefix"`
	DeleteAfterDays           int    `json:"delete_after_days,omitempty"`
	InfrequentAccessAfterDays int    `json:"infrequent_access_after_days,omitempty"`
	AbortMultipartAfterDays   int    `json:"abort_multipart_after_days,omitempty"`
}

// Consumer says how a Worker takes the messages of a queue.
type Consumer struct {
	Why         string `json:"why"`
	Batch       int    `json:"batch"`   // messages at most in one call
	WaitMS      int    `json:"wait_ms"` // how long a batch waits to be filled
	Retries     int    `json:"retries"`
	RetryDelayS int    `json:"retry_delay_s,omitempty"`
	// MaxConcurrency is how many batches may be in work at once; without it Cloudflare decides.
	MaxConcurrency int    `json:"max_concurrency,omitempty"`
	DeadLetter     string `json:"dead_letter,omitempty"` // the queue for messages whose retries are used up; without it they are lost
}

// Cron is a time at which a Worker is called.
type Cron struct {
	Why string `json:"why"`
}

// ConsumerOf is the Worker that takes a queue's messages, and how.
func (c *Contract) ConsumerOf(queue string) (worker string, how Consumer, ok bool) {
	for _, name := range sorted(c.Workers) {
		if how, ok = c.Workers[name].Consumes[queue]; ok {
			return name, how, true
		}
	}
	return "", Consumer{}, false
}
