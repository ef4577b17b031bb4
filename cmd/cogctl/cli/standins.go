package cli

import (
	"context"
	"errors"
	"slices"

	"github.com/cognomega/edge/audit/cors"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

// standInMessage marks the versions that stand in for a Worker. The account itself thus says what an interrupted run left behind.
const standInMessage = "broken on purpose"

func isStandIn(v cfapi.Version) bool { return v.Annotations["workers/message"] == standInMessage }

// putStandIn has a stand-in serve with all that the Worker has but its code: also its secrets, which only the versions hold.
func putStandIn(ctx context.Context, api *cfapi.Client, name string, status int) error {
	deployments, err := api.Deployments(ctx, name)
	if err != nil {
		return err
	}
	versions, err := api.Versions(ctx, name)
	if err != nil {
		return err
	}
	if len(deployments) == 0 || len(versions) == 0 || len(deployments[0].Versions) != 1 || deployments[0].Versions[0].VersionID != versions[0].ID {
		return fault.New(fault.Conflict, "the newest version of Worker %s is not the one that serves", name).WithHint("cogctl up, and if it finds nothing to do deploy the newest version")
	}
	code := []cfapi.Module{{Name: "worker.js", Type: "application/javascript+module", Content: []byte(cors.StandIn(status))}}
	return putLike(ctx, api, name, versions[0].ID, code, map[string]string{"workers/message": standInMessage})
}

// mendStandIns puts the Workers back that a stand-in stands in for, and names them. It knows nothing of the run that broke them,
// so that it mends also what one left behind that was killed.
func mendStandIns(ctx context.Context, api *cfapi.Client, workers []string) (mended []string, err error) {
	for _, name := range workers {
		did, failed := mendStandIn(ctx, api, name)
		if did {
			mended = append(mended, name)
		}
		err = errors.Join(err, failed)
	}
	return mended, err
}

// mendStandIn deploys the Worker's own version, and uploads it once more: while an older version than the newest serves,
// Cloudflare edits no secret (10215).
func mendStandIn(ctx context.Context, api *cfapi.Client, name string) (bool, error) {
	versions, err := api.Versions(ctx, name)
	if errors.Is(err, fault.NotFound) || err == nil && (len(versions) == 0 || !isStandIn(versions[0])) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	at := slices.IndexFunc(versions, func(v cfapi.Version) bool { return !isStandIn(v) })
	if at < 0 {
		return false, fault.New(fault.Conflict, "Worker %s has stand-ins only, and no version of its own", name).WithHint("cogctl up")
	}
	own, err := api.Version(ctx, name, versions[at].ID)
	if err != nil {
		return false, err
	}
	said, err := saidOf(ctx, api, name, own)
	if err != nil {
		return false, err
	}
	if err := api.Deploy(ctx, name, own.ID, "put back after cogctl audit cors --break"); err != nil {
		return false, err
	}
	code, err := api.ScriptContent(ctx, name)
	if err != nil {
		return false, err
	}
	return true, putLike(ctx, api, name, own.ID, code, said)
}

// saidOf is what an upload says of a version's code. The annotations that Cloudflare makes itself cannot be uploaded, and where an
// edit of a secret made the version its bundle is named again: else the gates would not know it.
func saidOf(ctx context.Context, api *cfapi.Client, name string, own cfapi.Version) (map[string]string, error) {
	said := map[string]string{}
	for _, key := range []string{"workers/message", "workers/tag"} {
		if text, ok := own.Annotations[key]; ok {
			said[key] = text
		}
	}
	tag, err := evidence.BundleTag(ctx, api, name, own)
	if tag != "" {
		said["workers/tag"] = tag
	}
	return said, err
}

// putLike uploads code with the bindings of a version, and the settings that the script has.
func putLike(ctx context.Context, api *cfapi.Client, name, version string, code []cfapi.Module, annotations map[string]string) error {
	settings, err := api.ScriptSettings(ctx, name)
	if err != nil {
		return err
	}
	like, err := api.Version(ctx, name, version)
	if err != nil {
		return err
	}
	u := cfapi.ScriptUpload{
		Modules: code, MainModule: code[0].Name, Bindings: []cfapi.Binding{}, Annotations: annotations,
		CompatibilityDate: like.Resources.Runtime.CompatibilityDate, CompatibilityFlags: append([]string{}, like.Resources.Runtime.CompatibilityFlags...),
		Limits: settings.Limits, Observability: settings.Observability, Logpush: settings.Logpush,
		TailConsumers: append([]cfapi.TailConsumer{}, settings.TailConsumers...), Tags: append([]string{}, settings.Tags...),
	}
	if p := settings.Placement; p != nil && p.Mode != "" { // what has none is read back as an empty object
		u.Placement = p
	}
	for _, b := range like.Resources.Bindings {
		u.Bindings = append(u.Bindings, cfapi.Binding{Name: b.Name, Type: "inherit", VersionID: version})
	}
	_, err = api.PutScript(ctx, name, u)
	return err
}
