package platform_test

import (
	"slices"
	"testing"
)

type keysReport struct {
	Phase string
	Keys  []struct{ KID, State, Slot string }
}

func (k keysReport) signer() (kid, slot string) {
	i := slices.IndexFunc(k.Keys, func(key struct{ KID, State, Slot string }) bool { return key.State == "signs" })
	if i < 0 {
		return "", ""
	}
	return k.Keys[i].KID, k.Keys[i].Slot
}

// TestADeploymentDoesNotUndoARotation moves the signing key to the other slot between deployments: that is no drift, and neither a
// deployment that changes nothing nor one that uploads auth-svc again brings the old key back.
func TestADeploymentDoesNotUndoARotation(t *testing.T) {
	t.Parallel()
	j := newJourney(t)
	j.up()
	var before, after keysReport
	j.must(0, &before, "jwks", "rotate", "--no-wait")
	old, slot := before.signer()
	if before.Phase != "published" || slot != "a" {
		t.Fatalf("a rotation begins with %+v", before)
	}
	j.must(0, nil, "preview", "--refresh", "--exit-code")
	// A revocation does not wait for the next key to be known; it is cut short as it begins to measure how long the old one lives.
	_, _, _ = j.run("jwks", "revoke", old, "--yes", "--timeout", "10s")
	j.must(0, &after, "jwks", "status")
	fresh, slot := after.signer()
	if after.Phase != "stable" || fresh == old || slot != "b" {
		t.Fatalf("after it %+v", after)
	}
	j.must(0, nil, "preview", "--refresh", "--exit-code")
	j.must(0, nil, "env", "diff")
	if again := j.up(); len(again.Changes) != 1 {
		t.Errorf("a deployment changes %v", again.Changes)
	}
	j.must(0, nil, "jwks", "verify")
	e := j.endpoints()
	j.api("POST", "/accounts/"+e.AccountID+"/workers/scripts/auth-svc/subdomain", `{"enabled":true,"previews_enabled":true}`)
	if repaired := j.up(); repaired.Changes["update"] != 1 {
		t.Errorf("the repair changed %v", repaired.Changes)
	}
	j.must(0, nil, "jwks", "verify")
	j.must(0, &after, "jwks", "status")
	if kid, slot := after.signer(); kid != fresh || slot != "b" {
		t.Errorf("after an upload %s signs from slot %s", kid, slot)
	}
	j.must(0, nil, "preview", "--refresh", "--exit-code")
}
