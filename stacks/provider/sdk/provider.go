// Package sdk holds the Go resource structs of our Pulumi package, cognomega, for programs to declare its resources with.
package sdk

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// Name and Version identify the plugin: the engine looks for pulumi-resource-<Name> of this version.
const (
	Name    = "cognomega"
	Version = "0.1.0"
)

// Provider is an explicitly configured instance of the plugin.
type Provider struct{ pulumi.ProviderResourceState }

// ProviderArgs says which account to work in. What is nil is read from the environment by the plugin, at run time, and kept out of the state.
type ProviderArgs struct {
	AccountID pulumi.StringPtrInput // else CLOUDFLARE_ACCOUNT_ID
	APIToken  pulumi.StringPtrInput // a secret, whatever it is wrapped in; else CLOUDFLARE_API_TOKEN
	BaseURL   pulumi.StringPtrInput // else CLOUDFLARE_BASE_URL, else Cloudflare's own
}

// NewProvider declares a provider instance, to be passed to resources by pulumi.Provider.
func NewProvider(ctx *pulumi.Context, name string, args *ProviderArgs, opts ...pulumi.ResourceOption) (*Provider, error) {
	m := pulumi.Map{}
	setInput(m, "accountId", args.AccountID)
	setInput(m, "baseUrl", args.BaseURL)
	if args.APIToken != nil {
		m["apiToken"] = pulumi.ToSecret(args.APIToken)
	}
	var p Provider
	err := ctx.RegisterResource("pulumi:providers:"+Name, name, m, &p, append(opts, pulumi.Version(Version))...)
	return &p, err
}

func register(ctx *pulumi.Context, kind, name string, m pulumi.Map, r pulumi.CustomResource, opts []pulumi.ResourceOption) error {
	return ctx.RegisterResource(Name+":index:"+kind, name, m, r, append(opts, pulumi.Version(Version))...)
}

// setInput leaves nil out: an absent property and a null one differ to the engine.
func setInput(m pulumi.Map, key string, in pulumi.Input) {
	if in != nil {
		m[key] = in
	}
}

func setStrings(m pulumi.Map, key string, in []string) {
	if len(in) > 0 {
		m[key] = pulumi.ToStringArray(in)
	}
}
