package evidence

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

// Deployed reads which bundles serve: a subject for every version that takes traffic of every Worker the contract has.
func Deployed(ctx context.Context, t *audit.Target) ([]Subject, error) {
	var names []string
	for name := range t.Contract.Workers {
		names = append(names, name)
	}
	slices.Sort(names)
	found := make([][]Subject, len(names))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, name := range names {
		g.Go(func() (err error) {
			found[i], err = serving(ctx, t.API, name)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(found...), nil
}

// serving lists the versions of a Worker that take traffic; none when it is not deployed, which the checks find.
func serving(ctx context.Context, api *cfapi.Client, worker string) ([]Subject, error) {
	deployments, err := api.Deployments(ctx, worker)
	if errors.Is(err, fault.NotFound) || err == nil && len(deployments) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	now := deployments[0]
	var subjects []Subject
	for _, share := range now.Versions {
		if share.Percentage <= 0 {
			continue
		}
		v, err := api.Version(ctx, worker, share.VersionID)
		if err != nil {
			return nil, err
		}
		tag, err := BundleTag(ctx, api, worker, v)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, subject(worker, now, share, v, tag))
	}
	slices.SortFunc(subjects, func(a, b Subject) int {
		return strings.Compare(a.Annotations["version_id"], b.Annotations["version_id"])
	})
	return subjects, nil
}

// subject names a version by what tells its code from other code: Cloudflare's etag, and our own bundle digest when the
// deployment says one. Where neither is known the version's id has to do.
func subject(worker string, d cfapi.Deployment, share cfapi.VersionShare, v cfapi.Version, tag string) Subject {
	s := Subject{Name: "worker/" + worker, Digest: map[string]string{}, Annotations: map[string]string{
		"deployment_id": d.ID, "version_id": share.VersionID, "percentage": strconv.FormatFloat(share.Percentage, 'f', -1, 64),
	}}
	if etag := strings.Trim(v.Resources.Script.ETag, `"`); etag != "" {
		s.Digest["cloudflareEtag"] = etag
	}
	if bundle, ok := strings.CutPrefix(tag, bundleTag); ok {
		s.Digest["bundleSha256Head"] = bundle
	}
	if len(s.Digest) == 0 {
		s.Digest["cloudflareVersion"] = share.VersionID
	}
	return s
}

// Unmoved is an error when a deployment happened between two readings: a proof must be about one set of bundles.
func Unmoved(before, after []Subject) error {
	if reflect.DeepEqual(before, after) {
		return nil
	}
	return fault.New(fault.Conflict, "a Worker was deployed while the checks ran, so the proof would be of neither version").WithHint("run it again")
}
