package contract

// Models is which model answers what, how long that may take, and when a model is left alone.
type Models struct {
	Providers   map[string]Provider `json:"providers"`
	Tiers       map[string]Tier     `json:"tiers"`
	DefaultTier string              `json:"default_tier"`
	Vision      map[string]Vision   `json:"vision"` // the models that are shown images, by name
	Hearing     Hearing             `json:"hearing"`
	Times       Times               `json:"times"`
	Breaker     Breaker             `json:"breaker"`
	Hedging     Hedging             `json:"hedging"`
	Idempotency Idempotency         `json:"idempotency"`
	PromptCache PromptCache         `json:"prompt_cache"`
	Skills      map[string]Skill    `json:"skills"`
}

// Wire is the format in which a provider is spoken to.
type Wire string

// The wires.
const (
	WireChat      Wire = "chat"       // OpenAI's chat completions over HTTP, at a base with a key
	WireWorkersAI Wire = "workers-ai" // a Worker's AI binding
)

// Provider runs models. Base, Key and Binding name bindings of the Workers that speak to it.
type Provider struct {
	Why     string `json:"why"`
	Wire    Wire   `json:"wire"`
	Base    string `json:"base,omitempty"`    // of wire chat: the var with its address
	Key     string `json:"key,omitempty"`     // of wire chat: the secret; without a value the provider is passed over
	Binding string `json:"binding,omitempty"` // of wire workers-ai
}

// Tier is what a caller may ask for: models in the order in which they are tried, and how much they may read and write.
type Tier struct {
	Why           string   `json:"why"`
	Aliases       []string `json:"aliases,omitempty"`
	Models        []Model  `json:"models"`
	Guests        bool     `json:"guests,omitempty"` // may be asked for without an account
	MinTokens     int      `json:"min_tokens"`       // an answer is cut to what is left of a budget, but to no less
	MaxTokens     int      `json:"max_tokens"`
	MaxInputChars int      `json:"max_input_chars"`
	HedgeMS       int      `json:"hedge_ms,omitempty"` // of silence, after which the next model is asked as well; without it, never

	Sees           []string `json:"sees,omitempty"`             // models of vision, in order, for questions with images; without them the tier takes none
	MaxImages      int      `json:"max_images,omitempty"`       // in one question
	MaxImageBytes  int      `json:"max_image_bytes,omitempty"`  // each
	MaxImagesBytes int      `json:"max_images_bytes,omitempty"` // together

	Hears           []string `json:"hears,omitempty"`             // models of hearing, in order, for audio; without them the tier takes none
	MaxAudios       int      `json:"max_audios,omitempty"`        // in one question
	MaxAudioSeconds int      `json:"max_audio_seconds,omitempty"` // together
	MaxAudioBytes   int      `json:"max_audio_bytes,omitempty"`   // together
}

// Vision is a model that sees.
type Vision struct {
	Why         string `json:"why"`
	Provider    string `json:"provider"`
	Detail      string `json:"detail,omitempty"` // low or high, of a provider that tells them apart: what an image is shown in at most
	ImageTokens int    `json:"image_tokens"`     // the most that one image comes to
}

// Hearing is who writes down what is said, and how much that comes to at most.
type Hearing struct {
	Why         string          `json:"why"`
	WindowS     int             `json:"window_s"`
	WindowBytes int             `json:"window_bytes"` // the most text, in UTF-8, of each started window of audio
	Models      map[string]Hear `json:"models"`       // by name
}

// Hear is a model that hears.
type Hear struct {
	Why      string `json:"why"`
	Provider string `json:"provider"`
}

// Model is one model of a provider.
type Model struct {
	Provider string `json:"provider"`
	Model    string `json:"model"`
}

// Times bound an attempt and the whole.
type Times struct {
	Why          string `json:"why"`
	HearMS       int    `json:"hear_ms"`        // of one attempt to hear audio
	FirstTokenMS int    `json:"first_token_ms"` // of a stream, until its first content
	AnswerMS     int    `json:"answer_ms"`      // of an answer in one piece
	GapMS        int    `json:"gap_ms"`         // of a stream, between two pieces of content
	OverallMS    int    `json:"overall_ms"`     // of all attempts, to hear and to answer, until the answer or its first content
}

// Breaker says when a model is left alone.
type Breaker struct {
	Why      string `json:"why"`
	Failures int    `json:"failures"` // in a window, and half of its attempts
	WindowS  int    `json:"window_s"`
	OpenS    int    `json:"open_s"` // doubled each time it opens again
	MaxOpenS int    `json:"max_open_s"`
	DeniedS  int    `json:"denied_s"` // when the key is refused or the money is used up
	ProbeS   int    `json:"probe_s"`  // after which a probe that was not heard of again is given up
	PollS    int    `json:"poll_s"`   // how often an isolate looks what others have seen
}

// Hedging bounds how often a second model is asked while the first is still silent, in one isolate.
type Hedging struct {
	Why          string `json:"why"`
	SharePercent int    `json:"share_percent"` // of the questions of tiers that hedge
	Burst        int    `json:"burst"`         // how many may be saved up
}

// Idempotency bounds what is kept of answers.
type Idempotency struct {
	Why         string `json:"why"`
	KeepS       int    `json:"keep_s"`
	MaxKeyChars int    `json:"max_key_chars"`
}

// PromptCache bounds what is kept of answers for those who ask the same again, without any key.
type PromptCache struct {
	Why      string `json:"why"`
	KeepS    int    `json:"keep_s"`
	MaxChars int    `json:"max_chars"` // longer answers are not kept
	LookMS   int    `json:"look_ms"`   // how long a kept answer is looked for, beside the limiters
}

// Skill is how a model is told what is wanted of it.
type Skill struct {
	Why    string `json:"why"`
	System string `json:"system"`
	Cached bool   `json:"cached,omitempty"` // the same again is what is wanted: its answers are kept unless the caller says otherwise
}
