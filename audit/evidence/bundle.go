package evidence

import (
	"context"
	"strings"

	"github.com/cognomega/edge/internal/cfapi"
)

// bundleTag is how deployments of ours name their bundle's digest, cut to what Cloudflare takes.
const bundleTag = "bundle-"

// BundleTag is what names a version's bundle; empty when nothing does. An edit of a secret makes a version that has the code of the
// one before it and not its tag: it has the bundle of the version that the edits began with, if its code is the same by Cloudflare's
// own count. A version that came about in another way vouches for none.
func BundleTag(ctx context.Context, api *cfapi.Client, worker string, v cfapi.Version) (string, error) {
	if tag := v.Annotations["workers/tag"]; strings.HasPrefix(tag, bundleTag) {
		return tag, nil
	}
	if !secretEdited(v) || v.Resources.Script.ETag == "" {
		return "", nil
	}
	versions, err := api.Versions(ctx, worker)
	if err != nil {
		return "", err
	}
	for _, earlier := range versions { // the newest first
		if earlier.Number >= v.Number || secretEdited(earlier) {
			continue
		}
		tag := earlier.Annotations["workers/tag"]
		if !strings.HasPrefix(tag, bundleTag) {
			return "", nil
		}
		whole, err := api.Version(ctx, worker, earlier.ID)
		if err != nil || whole.Resources.Script.ETag != v.Resources.Script.ETag {
			return "", err
		}
		return tag, nil
	}
	return "", nil
}

func secretEdited(v cfapi.Version) bool { return v.Annotations["workers/triggered_by"] == "secret" }
