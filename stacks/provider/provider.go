// Package provider is our Pulumi provider for what pulumi-cloudflare cannot express: whole Worker scripts, queue consumers and R2 lifecycle rules.
package provider

import (
	"context"
	"os"
	"sync"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/stacks/parent"
	"github.com/cognomega/edge/stacks/provider/sdk"
)

// Options are what a process gives the provider; the zero value reads the environment.
type Options struct {
	Getenv func(string) string // defaults to os.Getenv
}

// Run serves the plugin's protocol until the engine closes it or is killed.
func Run(ctx context.Context) error {
	server, err := New(Options{})
	if err != nil {
		return err
	}
	return server.Run(parent.While(ctx), sdk.Name, sdk.Version)
}

// New builds the provider.
func New(o Options) (p.Provider, error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	return infer.NewProviderBuilder().
		WithDisplayName("Cognomega").
		WithDescription("Worker scripts, queue consumers and R2 lifecycle rules on Cloudflare").
		WithNamespace(sdk.Name).
		WithConfig(infer.Config(&Config{getenv: o.Getenv})).
		WithResources(
			infer.Resource(WorkerScript{}),
			infer.Resource(QueueConsumer{}),
			infer.Resource(R2BucketLifecycle{}),
		).
		Build()
}

// Config is the provider's configuration. What it leaves out is read from the environment when it is needed, so that nothing of the environment reaches the state.
type Config struct {
	AccountID string `pulumi:"accountId,optional"`
	APIToken  string `pulumi:"apiToken,optional" provider:"secret"`
	BaseURL   string `pulumi:"baseUrl,optional"`

	getenv  func(string) string
	mu      sync.Mutex
	clients map[string]*cfapi.Client // by account
}

// Annotate documents the configuration in the schema.
func (c *Config) Annotate(a infer.Annotator) {
	a.Describe(&c.AccountID, "The account to work in; otherwise CLOUDFLARE_ACCOUNT_ID.")
	a.Describe(&c.APIToken, "An API token; otherwise CLOUDFLARE_API_TOKEN.")
	a.Describe(&c.BaseURL, "Where the API is; otherwise CLOUDFLARE_BASE_URL, otherwise Cloudflare's own.")
}

// Configure forgets the clients of an earlier configuration: a provider attached by PULUMI_DEBUG_PROVIDERS is configured once a run.
func (c *Config) Configure(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clients = nil
	return nil
}

func (c *Config) value(explicit, variable string) string {
	if explicit != "" {
		return explicit
	}
	return c.getenv(variable)
}

func (c *Config) account() string { return c.value(c.AccountID, "CLOUDFLARE_ACCOUNT_ID") }

// client is shared by all resources of an account, so that they share its request budget.
func (c *Config) client(account string) (*cfapi.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.clients[account]; known != nil {
		return known, nil
	}
	token := c.value(c.APIToken, "CLOUDFLARE_API_TOKEN")
	if token == "" {
		return nil, fault.New(fault.Unauthenticated, "the cognomega provider has no API token").
			WithHint("set the provider's apiToken, or CLOUDFLARE_API_TOKEN")
	}
	made, err := cfapi.New(cfapi.Config{
		BaseURL: c.value(c.BaseURL, "CLOUDFLARE_BASE_URL"), Token: token, AccountID: account,
		UserAgent: "pulumi-resource-" + sdk.Name + "/" + sdk.Version,
	})
	if err != nil {
		return nil, err
	}
	if c.clients == nil {
		c.clients = map[string]*cfapi.Client{}
	}
	c.clients[account] = made
	return made, nil
}

func clientFor(ctx context.Context, account string) (*cfapi.Client, error) {
	client, err := infer.GetConfig[*Config](ctx).client(account)
	return client, explain(err)
}
