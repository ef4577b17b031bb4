package provider

import (
	"fmt"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

// hints say what to do about the API's refusals that people meet when they deploy.
var hints = []struct {
	code int
	hint string
}{
	{10021, "the script does not start or does not parse; the text above is the runtime's own. The version before is still serving"},
	{10027, "the bundle is over the account's size limit; look for a dependency that should not be in it"},
	{10041, "a kv_namespace binding names a namespace that does not exist in this account"},
	{10085, "an r2_bucket binding names a bucket that does not exist in this account"},
	{11000, "there is no such queue in this account; was it deleted outside of this program?"},
	{10144, "a service binding names a script that does not exist yet: take its name from that WorkerScript's Name output, so that it is made first"},
	{10157, "a hyperdrive binding names a configuration that does not exist in this account"},
	{10061, "declare the class in durableObjects of the script that exports it, and deploy that script first"},
	{10057, "a binding that was to be kept is not on the script any more"},
	{10070, "durableObjects declares a class that the main module does not export"},
	{10074, "the class is declared twice, or its storage would change: the storage of a live class cannot be changed"},
	{10099, "new key-value classes are refused on this account: set sqlite on the class"},
	{10079, "someone else migrated this script at the same moment; deploy again"},
	{10211, "a migration cannot go out as a version by itself: run a full deploy (pulumi up) first"},
	{10064, "something still needs it. A queue: delete its QueueConsumer first, also one attached outside of this program. Durable Objects: name the class in deletedClasses, or to lose all of them with the script set forceDestroy and deploy that before destroying"},
	{10142, "another script is bound to this one: remove its service binding first, or set forceDestroy and deploy that before destroying"},
	{10214, "the newest version of this script is not the deployed one; deploy again to make one version both"},
	{10215, "the newest version of this script is not the deployed one; deploy again to make one version both"},
	{11001, "the script has no queue() handler; export one before attaching a consumer"},
	{11004, "a queue has at most one consumer, and this one has another: detach it first, or declare that one"},
	{10006, "the bucket does not exist in this account"},
	{10007, "the script does not exist in this account; for workersDev and previews: the account has no workers.dev name yet"},
}

// explain adds the way out to an error. The engine shows an error's text alone, so the hint has to be part of it.
func explain(err error) error {
	if err == nil {
		return nil
	}
	for _, h := range hints {
		if cfapi.HasCode(err, h.code) {
			return fmt.Errorf("%w\nhint: %s", err, h.hint)
		}
	}
	if hint := fault.HintOf(err); hint != "" {
		return fmt.Errorf("%w\nhint: %s", err, hint)
	}
	return err
}

// gone is true when err says that the thing itself is not there (any more).
func gone(err error) bool { return err != nil && fault.KindOf(err) == fault.NotFound }
