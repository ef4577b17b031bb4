package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"golang.org/x/sync/errgroup"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/stacks/bundle"
	"github.com/cognomega/edge/stacks/deploy"
	"github.com/cognomega/edge/stacks/platform"
)

// assemble bundles the Workers and joins them with the contract and the secrets to the program of one environment.
func assemble(ctx context.Context, c *contract.Contract, env string, from sources) (pulumi.RunFunc, error) {
	spec, err := platform.FromContract(c, env)
	if err != nil {
		return nil, err
	}
	bundles, err := from(ctx, slices.Sorted(maps.Keys(c.Workers)))
	if err != nil {
		return nil, err
	}
	secrets, err := secretsFile(os.Getenv("COGNOMEGA_SECRETS_FILE"))
	if err != nil {
		return nil, err
	}
	return func(ctx *pulumi.Context) error {
		all, err := withConfigured(ctx, secrets)
		if err != nil {
			return err
		}
		return platform.Program(platform.Inputs{
			AccountID: accountID(c.Envs[env]), Spec: spec, Bundles: bundles, Secrets: all, Protect: env != deploy.LocalStack,
		})(ctx)
	}, nil
}

// sources gives the bundles of Workers.
type sources func(ctx context.Context, workers []string) (map[string]platform.Bundle, error)

// built bundles this checkout.
func built(ctx context.Context, workers []string) (map[string]platform.Bundle, error) {
	root, err := checkout()
	if err != nil {
		return nil, err
	}
	results, err := bundleAll(ctx, root, workers)
	if err != nil {
		return nil, err
	}
	all := map[string]platform.Bundle{}
	for _, result := range results {
		path, err := result.Write(root)
		if err != nil {
			return nil, err
		}
		all[result.Worker] = platform.Bundle{MainModule: bundle.CodeFile, Modules: map[string]platform.Module{
			bundle.CodeFile: {Path: path},
			bundle.MapFile:  {Path: filepath.Join(filepath.Dir(path), bundle.MapFile)},
		}}
	}
	return all, nil
}

func bundleAll(ctx context.Context, root string, workers []string) ([]bundle.Result, error) {
	results := make([]bundle.Result, len(workers))
	g, ctx := errgroup.WithContext(ctx)
	for i, name := range workers {
		g.Go(func() (err error) {
			results[i], err = bundle.Build(ctx, root, name)
			return err
		})
	}
	return results, g.Wait()
}

// secretsFile reads name-to-value pairs. What is wrong with the file is said without quoting from it.
func secretsFile(path string) (map[string]string, error) {
	secrets := map[string]string{}
	if path == "" {
		return secrets, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.Invalid, "read the secrets file: %w", err).WithHint("COGNOMEGA_SECRETS_FILE names it")
	}
	if json.Unmarshal(raw, &secrets) != nil {
		return nil, fault.New(fault.Invalid, "the secrets file %s is not a JSON object of strings", path)
	}
	return secrets, nil
}

// withConfigured adds the secrets of the stack's encrypted configuration (cognomega:secrets); the file wins.
func withConfigured(ctx *pulumi.Context, fromFile map[string]string) (map[string]string, error) {
	all := map[string]string{}
	if raw, ok := ctx.GetConfig("cognomega:secrets"); ok {
		if json.Unmarshal([]byte(raw), &all) != nil {
			return nil, fault.New(fault.Invalid, "the configuration value cognomega:secrets is not a JSON object of strings")
		}
	}
	maps.Copy(all, fromFile)
	return all, nil
}

func accountID(env contract.Env) string {
	if id := os.Getenv("CLOUDFLARE_ACCOUNT_ID"); id != "" {
		return id
	}
	return env.AccountID
}

// apiClient makes the client lazily: a run that is refused before it looks at anything needs no token.
func apiClient(account, url string) func() (*cfapi.Client, error) {
	return func() (*cfapi.Client, error) {
		if base := os.Getenv("CLOUDFLARE_BASE_URL"); base != "" {
			url = base
		}
		client, err := trusting(os.Getenv("SSL_CERT_FILE"))
		if err != nil {
			return nil, err
		}
		return cfapi.New(cfapi.Config{BaseURL: url, Token: os.Getenv("CLOUDFLARE_API_TOKEN"), AccountID: account, HTTP: client, UserAgent: "stacks"})
	}
}

// trusting adds a certificate file to the roots by hand, because not every platform's verifier reads SSL_CERT_FILE.
func trusting(file string) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fault.New(fault.Invalid, "read SSL_CERT_FILE: %w", err)
		}
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fault.New(fault.Invalid, "read SSL_CERT_FILE: no certificate in %s", file)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: transport}, nil
}

// checkout is the repository's root: above the working folder, or above the folder of this program.
func checkout() (string, error) {
	var from []string
	if dir, err := os.Getwd(); err == nil {
		from = append(from, dir)
	}
	if self, err := os.Executable(); err == nil {
		from = append(from, filepath.Dir(self))
	}
	for _, start := range from {
		for dir := start; ; dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, "stacks", "Pulumi.yaml")); err == nil {
				return dir, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", fault.New(fault.NotFound, "this is not inside a checkout of the project").WithHint("run it in the folder that holds stacks/ and contract/")
}
