package evidence_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/api"
	"github.com/cognomega/edge/internal/localcloud/store"
)

const (
	whole  = "0123456789012345678901234567890123456789"
	narrow = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
)

// starts is a runtime on which every script starts.
type starts struct{}

func (starts) Prepare(context.Context, api.Change) (api.Prepared, error) { return nil, nil } //nolint:nilnil // nothing is deployed here

// live gives the target an account on which the gateway is between two versions, and one more Worker is deployed.
func (b *bed) live(token string) {
	b.t.Helper()
	s, err := store.Open(b.t.TempDir(), store.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = s.Close() })
	b.store = s
	deployed := func(name string, shares ...store.VersionShare) store.Script {
		return store.Script{Name: name, LastVersion: 3, Deployments: []store.Deployment{{ID: "d-" + name, Versions: shares}, {ID: "old", Versions: []store.VersionShare{{VersionID: "v0", Percentage: 100}}}}}
	}
	err = s.Update(func(tx *store.Tx) error {
		return errors.Join(
			tx.Put(store.Tokens, api.HashToken(whole), store.Token{ID: "w", Status: "active", Permissions: []string{"*"}}),
			tx.Put(store.Tokens, api.HashToken(narrow), store.Token{ID: "n", Status: "active", Permissions: []string{"Zone Read"}}),
			tx.Put(store.Scripts, "cognomega-api", deployed("cognomega-api", store.VersionShare{VersionID: "v2", Percentage: 90}, store.VersionShare{VersionID: "v1", Percentage: 10}, store.VersionShare{VersionID: "v3"})),
			tx.Put(store.Versions, "cognomega-api/v1", store.Version{ID: "v1", Number: 1, Script: "cognomega-api", ETag: "e1", Annotations: map[string]string{"workers/tag": "bundle-0011223344556677"}}),
			tx.Put(store.Versions, "cognomega-api/v2", store.Version{ID: "v2", Number: 2, Script: "cognomega-api", ETag: "e2", Annotations: map[string]string{"workers/tag": "release-7"}}),
			tx.Put(store.Versions, "cognomega-api/v3", store.Version{ID: "v3", Number: 3, Script: "cognomega-api", ETag: "e3"}),
			tx.Put(store.Scripts, "auth-svc", deployed("auth-svc", store.VersionShare{VersionID: "a1", Percentage: 100})),
			tx.Put(store.Versions, "auth-svc/a1", store.Version{ID: "a1", Number: 1, Script: "auth-svc"}),
			tx.Put(store.Scripts, "stranger", deployed("stranger", store.VersionShare{VersionID: "s1", Percentage: 100})),
			tx.Put(store.Versions, "stranger/s1", store.Version{ID: "s1", Number: 1, Script: "stranger", ETag: "s"}),
		)
	})
	if err != nil {
		b.t.Fatal(err)
	}
	server := httptest.NewServer(api.New(api.Config{Store: s, Runtime: starts{}, AccountID: account, AccountName: "test"}))
	b.t.Cleanup(server.Close)
	if b.target.API, err = cfapi.New(cfapi.Config{BaseURL: server.URL + api.Prefix, Token: token, AccountID: account, RetryMax: -1}); err != nil {
		b.t.Fatal(err)
	}
}

func TestTheBundlesThatServeAreNamed(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.live(whole)
	got, err := evidence.Deployed(t.Context(), b.target)
	if err != nil {
		t.Fatal(err)
	}
	want := []evidence.Subject{
		{Name: "worker/auth-svc", Digest: map[string]string{"cloudflareVersion": "a1"}, Annotations: map[string]string{"deployment_id": "d-auth-svc", "version_id": "a1", "percentage": "100"}},
		{
			Name: "worker/cognomega-api", Digest: map[string]string{"cloudflareEtag": "e1", "bundleSha256Head": "0011223344556677"},
			Annotations: map[string]string{"deployment_id": "d-cognomega-api", "version_id": "v1", "percentage": "10"},
		},
		{Name: "worker/cognomega-api", Digest: map[string]string{"cloudflareEtag": "e2"}, Annotations: map[string]string{"deployment_id": "d-cognomega-api", "version_id": "v2", "percentage": "90"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := evidence.Unmoved(want, got); err != nil {
		t.Error(err)
	}
	got[0].Annotations["version_id"] = "a2"
	if err := evidence.Unmoved(want, got); !errors.Is(err, fault.Conflict) {
		t.Errorf("a deployment in between went unseen: %v", err)
	}
}

func TestBundlesThatMayNotBeReadAreAnError(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.live(narrow)
	if _, err := evidence.Deployed(t.Context(), b.target); !errors.Is(err, fault.Denied) || fault.HintOf(err) == "" {
		t.Errorf("got %v, hint %q", err, fault.HintOf(err))
	}
}

// An edit of a secret keeps the bundle: the version that it makes has no tag, and the code of the one that has. Nothing else is
// believed to have kept it.
func TestAnEditedSecretKeepsTheBundle(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.live(whole)
	secret, tag := map[string]string{"workers/triggered_by": "secret"}, map[string]string{"workers/tag": "bundle-0011223344556677"}
	tests := map[string]struct {
		versions []store.Version // the oldest first; the last one serves
		want     string
	}{
		"once":                             {[]store.Version{{ETag: "e", Annotations: tag}, {ETag: "e", Annotations: secret}}, "bundle-0011223344556677"},
		"often":                            {[]store.Version{{ETag: "e", Annotations: tag}, {ETag: "e", Annotations: secret}, {ETag: "e", Annotations: secret}}, "bundle-0011223344556677"},
		"of other code":                    {[]store.Version{{ETag: "e", Annotations: tag}, {ETag: "f", Annotations: secret}}, ""},
		"after an upload without a tag":    {[]store.Version{{ETag: "e", Annotations: tag}, {ETag: "e"}, {ETag: "e", Annotations: secret}}, ""},
		"before the upload with the tag":   {[]store.Version{{ETag: "e", Annotations: secret}}, ""},
		"and then an upload without a tag": {[]store.Version{{ETag: "e", Annotations: tag}, {ETag: "e", Annotations: secret}, {ETag: "e"}}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			worker := strings.ReplaceAll(name, " ", "-")
			var serves string
			err := b.store.Update(func(tx *store.Tx) error {
				for i, v := range test.versions {
					v.Number, v.Script, v.ID = i+1, worker, fmt.Sprintf("v%d", i+1)
					serves = v.ID
					if err := tx.Put(store.Versions, worker+"/"+v.ID, v); err != nil {
						return err
					}
				}
				return tx.Put(store.Scripts, worker, store.Script{Name: worker, LastVersion: len(test.versions)})
			})
			if err != nil {
				t.Fatal(err)
			}
			v, err := b.target.API.Version(t.Context(), worker, serves)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := evidence.BundleTag(t.Context(), b.target.API, worker, v); err != nil || got != test.want {
				t.Errorf("%q, %v; want %q", got, err, test.want)
			}
		})
	}
}
