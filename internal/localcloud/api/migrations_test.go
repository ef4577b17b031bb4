package api_test

import (
	"testing"

	"github.com/cognomega/edge/internal/localcloud/api/apitest"
)

func migrate(oldTag, newTag string, fields object) object {
	m := object{"new_tag": newTag}
	if oldTag != "" {
		m["old_tag"] = oldTag
	}
	for k, v := range fields {
		m[k] = v
	}
	return object{"migrations": m}
}

func sqlite(classes ...string) object { return object{"new_sqlite_classes": classes} }

func classes(t *testing.T, b *apitest.Bed) map[string]string {
	t.Helper()
	var all []struct {
		ID     string `json:"id"`
		Class  string `json:"class"`
		Script string `json:"script"`
		SQLite bool   `json:"use_sqlite"`
	}
	b.Account(t, "GET", "/workers/durable_objects/namespaces?per_page=1000", nil).Into(t, &all)
	ids := map[string]string{}
	for _, n := range all {
		ids[n.Script+"/"+n.Class] = n.ID
	}
	return ids
}

func TestMigrations(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	room := object{"bindings": []object{{"type": "durable_object_namespace", "name": "ROOMS", "class_name": "Room"}}}
	want(t, "binding before a migration", put(t, b, "do", objects, room), 400, 10061)
	want(t, "class not exported", put(t, b, "do", objects, migrate("", "v1", sqlite("Nobody"))), 400, 10070)
	want(t, "KV-backed", put(t, b, "do", objects, migrate("", "v1", object{"new_classes": []string{"Room"}})), 400, 10099)
	want(t, "old tag of a new script", put(t, b, "do", objects, migrate("v0", "v1", sqlite("Room"))), 412, 10079)
	want(t, "one target twice", put(t, b, "do", objects, migrate("", "v1", sqlite("Room", "Room"))), 400, 10074)
	both := migrate("", "v1", sqlite("Room"))
	both["migrations"].(object)["steps"] = []object{sqlite("Hall")}
	want(t, "steps and a single step", put(t, b, "do", objects, both), 400, 10021)
	want(t, "in a version of no script", send(t, b, "POST", "do/versions", objects, migrate("", "v1", sqlite("Room"))), 400, 10211)
	if len(classes(t, b)) != 0 {
		t.Fatalf("a refused migration left classes: %v", classes(t, b))
	}
	first := migrate("", "v1", sqlite("Room"))
	first["bindings"] = room["bindings"]
	want(t, "first", put(t, b, "do", objects, first), 200, 0)
	id := classes(t, b)["do/Room"]
	var service struct {
		Default struct {
			Script struct {
				Tag string `json:"migration_tag"`
			} `json:"script"`
		} `json:"default_environment"`
	}
	b.Account(t, "GET", "/workers/services/do", nil).Into(t, &service)
	if service.Default.Script.Tag != "v1" {
		t.Errorf("migration tag %q, want v1", service.Default.Script.Tag)
	}
	want(t, "the same again", put(t, b, "do", objects, migrate("", "v1", sqlite("Room"))), 412, 10079)
	want(t, "class twice", put(t, b, "do", objects, migrate("v1", "v2", sqlite("Room"))), 400, 10074)
	want(t, "no migration, classes stay", put(t, b, "do", objects, room), 200, 0)
	want(t, "export removed", put(t, b, "do", hello, nil), 400, 10064)
	want(t, "rename nothing", put(t, b, "do", objects, migrate("v1", "v2", object{"renamed_classes": []object{{"from": "None", "to": "Hall"}}})), 400, 10074)
	want(t, "in steps", put(t, b, "do", objects, migrate("v1", "v3", object{"steps": []object{
		{"renamed_classes": []object{{"from": "Room", "to": "Hall"}}}, sqlite("Room"),
	}})), 200, 0)
	after := classes(t, b)
	if after["do/Hall"] != id || after["do/Room"] == id || len(after) != 2 {
		t.Errorf("after the rename %v; Hall must have %s", after, id)
	}
	want(t, "delete", put(t, b, "do", objects, migrate("v3", "v4", object{"deleted_classes": []string{"Hall"}})), 200, 0)
	if after = classes(t, b); len(after) != 1 {
		t.Errorf("after the deletion %v", after)
	}
	want(t, "a version of it", send(t, b, "POST", "do/versions", objects, nil), 200, 0)
	want(t, "not forced", b.Account(t, "DELETE", "/workers/scripts/do", nil), 409, 10064)
	want(t, "forced", b.Account(t, "DELETE", "/workers/scripts/do?force=true", nil), 200, 0)
	if after = classes(t, b); len(after) != 0 {
		t.Errorf("classes of a deleted script: %v", after)
	}
}

func TestTransferAndForeignBindings(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	want(t, "owner", put(t, b, "owner", objects, migrate("", "v1", sqlite("Room", "Hall"))), 200, 0)
	id := classes(t, b)["owner/Room"]
	foreign := object{"bindings": []object{{"type": "durable_object_namespace", "name": "R", "class_name": "Room", "script_name": "owner"}}}
	want(t, "foreign binding", put(t, b, "user", hello, foreign), 200, 0)
	want(t, "delete a class in use", put(t, b, "owner", objects, migrate("v1", "v2", object{"deleted_classes": []string{"Room"}})), 400, 10064)
	want(t, "delete a script in use", b.Account(t, "DELETE", "/workers/scripts/owner", nil), 409, 10142)
	take := migrate("", "v1", object{"transferred_classes": []object{{"from": "Room", "from_script": "owner", "to": "Room"}}})
	want(t, "transfer", put(t, b, "heir", objects, take), 200, 0)
	after := classes(t, b)
	if after["heir/Room"] != id || after["owner/Room"] != "" {
		t.Errorf("after the transfer %v; heir/Room must have %s", after, id)
	}
	want(t, "transfer again", put(t, b, "thief", objects, take), 400, 10074)
	want(t, "foreign class that is not there", put(t, b, "user2", hello, foreign), 400, 10061)
}

func TestVersions(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	deployed(t, b, "v", hello, nil)
	a := send(t, b, "POST", "v/versions", hello+" ", object{"annotations": object{"workers/message": "second"}})
	want(t, "upload a version", a, 200, 0)
	var second struct {
		ID     string `json:"id"`
		Number int    `json:"number"`
	}
	a.Into(t, &second)
	if second.Number != 2 || len(b.Runtime.Serving("v")) != 1 || b.Runtime.Serving("v")[0] == second.ID {
		t.Errorf("a version must not serve: %s", a.Body)
	}
	want(t, "version of no script", send(t, b, "POST", "none/versions", hello, nil), 404, 10007)
	want(t, "broken version", send(t, b, "POST", "v/versions", "export {", nil), 400, 10021)
	deploy := func(shares ...object) apitest.Answer {
		return b.Account(t, "POST", "/workers/scripts/v/deployments", object{"strategy": "percentage", "versions": shares})
	}
	share := func(id string, percent float64) object { return object{"version_id": id, "percentage": percent} }
	first := b.Runtime.Serving("v")[0]
	want(t, "sums to 99", deploy(share(first, 50), share(second.ID, 49)), 400, 10026)
	want(t, "twice the same", deploy(share(first, 50), share(first, 50)), 400, 10026)
	want(t, "no such version", deploy(share("none", 100)), 404, 100146)
	want(t, "none", deploy(), 400, 10026)
	want(t, "zero percent is legal", deploy(share(first, 100), share(second.ID, 0)), 200, 0)
	if got := b.Runtime.Serving("v"); len(got) != 2 {
		t.Errorf("serving %v", got)
	}
	want(t, "all of it", deploy(share(second.ID, 100)), 200, 0)
	want(t, "a secret", b.Account(t, "PUT", "/workers/scripts/v/secrets", object{"name": "K", "text": "v"}), 200, 0)
	want(t, "back across the secret", deploy(share(first, 100)), 409, 10220)
	want(t, "back by force", b.Account(t, "POST", "/workers/scripts/v/deployments?force=true",
		object{"strategy": "percentage", "versions": []object{share(first, 100)}}), 200, 0)
	var page struct {
		Items []any `json:"items"`
	}
	b.Account(t, "GET", "/workers/scripts/v/versions?page=2&per_page=2", nil).Into(t, &page)
	if len(page.Items) != 1 {
		t.Errorf("second page of three versions: %v", page.Items)
	}
}
