package platform

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/rotation"
)

// keysStore is the contract's name of the KV namespace that holds the published keys, jwksKey the key it is under.
const (
	keysStore = "keys"
	jwksKey   = "jwks"
)

// stackEnviron is what the stacks program needs to reach an environment beside this process's own environment.
func stackEnviron(n *Connection, l Layout) ([]string, error) {
	environ := []string{"COGNOMEGA_BIN=" + l.Bin}
	if n.Local == nil {
		return environ, nil // production's token, passphrase and back end come from the environment that runs it
	}
	token, err := n.Local.Token()
	if err != nil {
		return nil, err
	}
	passphrase, err := ensurePassphrase(l)
	if err != nil {
		return nil, err
	}
	api, err := url.Parse(n.Local.APIHTTPS)
	if err != nil {
		return nil, fault.New(fault.Invalid, "API address %q: %w", n.Local.APIHTTPS, err)
	}
	state := filepath.Join(l.Local, "pulumi")
	if err := os.MkdirAll(filepath.Join(state, "state"), 0o700); err != nil {
		return nil, fault.New(fault.Unavailable, "create the state's folder: %w", err)
	}
	return append(environ,
		"CLOUDFLARE_API_TOKEN="+token, "CLOUDFLARE_ACCOUNT_ID="+n.Local.AccountID, "CLOUDFLARE_BASE_URL="+n.Local.APIHTTP,
		"CLOUDFLARE_API_HOSTNAME="+api.Host, "CLOUDFLARE_API_BASE_PATH="+api.Path, "SSL_CERT_FILE="+n.Local.CAFile,
		"PULUMI_CONFIG_PASSPHRASE="+passphrase, "PULUMI_BACKEND_URL=file://"+filepath.Join(state, "state"), "PULUMI_HOME="+filepath.Join(state, "home"),
		"COGNOMEGA_SECRETS_FILE="+secretsPath(l),
	), nil
}

// Stack runs a verb of the stacks program against a connected environment.
func Stack(ctx context.Context, n *Connection, l Layout, run StackRun, on func(StackEvent)) error {
	environ, err := stackEnviron(n, l)
	if err != nil {
		return err
	}
	if n.Local != nil {
		if _, err := EnsureLocalSecrets(l); err != nil {
			return err
		}
	}
	run.Layout, run.Env, run.Environ = l, n.Env, environ
	return run.Run(ctx, on)
}

// PublishKeys makes sure that the public half of the signing key is published, so that what auth-svc signs can be verified.
// Once a rotation began it never writes: which keys are published is then the rotation's alone. Before that it fills an empty place,
// and on this machine also replaces a set that the key of the local secrets is not in.
func PublishKeys(ctx context.Context, c *contract.Contract, n *Connection, l Layout) (published bool, err error) {
	secrets, err := signingSecrets(n, l)
	if err != nil || secrets[secretPrivateKey] == "" {
		return false, err
	}
	want, err := firstSet(secrets)
	if err != nil {
		return false, err
	}
	namespace, err := n.API.NamespaceByTitle(ctx, c.Stores[keysStore].Name)
	if err != nil {
		return false, err
	}
	if began, err := rotationBegan(ctx, c, n, namespace.ID); err != nil || began {
		return false, err
	}
	have, err := n.API.KVGet(ctx, namespace.ID, jwksKey)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return false, err
	}
	if len(have) > 0 && (n.Local == nil || sameJSON(have, want)) {
		return false, nil
	}
	return true, n.API.KVPut(ctx, namespace.ID, jwksKey, want)
}

// rotationBegan looks for the document, and for the pointer: the document lies in KV, which may answer with what was there before.
func rotationBegan(ctx context.Context, c *contract.Contract, n *Connection, namespace string) (bool, error) {
	_, err := n.API.KVGet(ctx, namespace, c.Keys["rotation"].Format)
	if err == nil || !errors.Is(err, fault.NotFound) {
		return err == nil, err
	}
	names, err := n.API.SecretNames(ctx, c.Auth.Signing.Worker)
	return slices.Contains(names, c.Auth.Signing.Pointer), err
}

// firstSet publishes the key of a new platform under the name that its tokens carry.
func firstSet(secrets LocalSecrets) ([]byte, error) {
	key, err := readSigningKey(secrets[secretPrivateKey])
	if err != nil {
		return nil, err
	}
	var public map[string]any
	if err := json.Unmarshal(key.JWK(), &public); err != nil {
		return nil, fault.New(fault.Internal, "encode the key set: %w", err)
	}
	public["kid"] = secrets[secretKeyID]
	named, err := json.Marshal(public)
	if err != nil {
		return nil, fault.New(fault.Internal, "encode the key set: %w", err)
	}
	return rotation.Set(named)
}

func signingSecrets(n *Connection, l Layout) (LocalSecrets, error) {
	if n.Local != nil {
		return EnsureLocalSecrets(l)
	}
	path := os.Getenv("COGNOMEGA_SECRETS_FILE")
	if path == "" {
		return LocalSecrets{}, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.Invalid, "read the secrets file: %w", err)
	}
	secrets := LocalSecrets{}
	if err := json.Unmarshal(raw, &secrets); err != nil {
		return nil, fault.New(fault.Invalid, "the secrets file is not a JSON object of strings")
	}
	return secrets, nil
}

func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	left, errA := json.Marshal(x)
	right, errB := json.Marshal(y)
	return errA == nil && errB == nil && string(left) == string(right)
}
