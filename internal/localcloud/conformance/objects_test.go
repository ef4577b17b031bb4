package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
)

const objectSource = `import { DurableObject } from "cloudflare:workers";
export class Room extends DurableObject { async fetch() { return new Response("room"); } }
export default { async fetch(request, env) { return new Response("objects"); }, async queue() {} };`

// put uploads a module with metadata that the client's own upload has no field for.
func (b *bed) put(t *testing.T, name, source string, metadata map[string]any) error {
	t.Helper()
	metadata["main_module"], metadata["compatibility_date"] = "index.js", "2025-01-01"
	data, err := json.Marshal(metadata)
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	ok(t, "metadata part", form.WriteField("metadata", string(data)))
	part, err := form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="index.js"; filename="index.js"`}, "Content-Type": {"application/javascript+module"},
	})
	ok(t, "module part", err)
	_, err = part.Write([]byte(source))
	ok(t, "module part", err)
	ok(t, "end of the form", form.Close())
	_, err = b.Raw(t.Context(), http.MethodPut, b.script(name), body.Bytes(), http.Header{"Content-Type": {form.FormDataContentType()}})
	return err
}

func TestDurableObjectMigrations(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	name := unique()
	b.cleanup(t, "delete script", func(ctx context.Context) error {
		_, err := b.Raw(ctx, http.MethodDelete, b.script(name)+"?force=true", nil, nil)
		return err
	})
	migration := func(old, next string, classes ...string) map[string]any {
		m := map[string]any{"new_tag": next, "new_sqlite_classes": classes}
		if old != "" {
			m["old_tag"] = old
		}
		return map[string]any{"migrations": m, "bindings": []map[string]string{{"type": "durable_object_namespace", "name": "ROOMS", "class_name": classes[0]}}}
	}
	wantCode(t, "class not exported", b.put(t, name, objectSource, migration("", "v1", "Nobody")), 10070)
	ok(t, "first migration", b.put(t, name, objectSource, migration("", "v1", "Room")))
	wantCode(t, "the same migration again", b.put(t, name, objectSource, migration("", "v1", "Room")), 10079)
	wantCode(t, "export removed", b.put(t, name, hello, map[string]any{}), 10064)
	var namespaces []struct {
		Script string `json:"script"`
		Class  string `json:"class"`
		SQLite bool   `json:"use_sqlite"`
	}
	b.raw(t, http.MethodGet, "/accounts/"+b.AccountID+"/workers/durable_objects/namespaces?per_page=1000", nil, &namespaces)
	found := false
	for _, n := range namespaces {
		found = found || n.Script == name && n.Class == "Room" && n.SQLite
	}
	if !found {
		t.Errorf("namespaces %+v do not have %s/Room", namespaces, name)
	}
	var service struct {
		Default struct {
			Script struct {
				Tag string `json:"migration_tag"`
			} `json:"script"`
		} `json:"default_environment"`
	}
	b.raw(t, http.MethodGet, "/accounts/"+b.AccountID+"/workers/services/"+name, nil, &service)
	if service.Default.Script.Tag != "v1" {
		t.Errorf("migration tag %q, want v1", service.Default.Script.Tag)
	}
	bindings := must(b.Raw(t.Context(), http.MethodGet, b.script(name)+"/bindings", nil, nil))(t, "bindings")
	if !strings.Contains(string(bindings.Result), fmt.Sprintf(`"script_name":%q`, name)) {
		t.Errorf("a Durable Object binding has its script_name: %s", bindings.Result)
	}
}

func TestBundleThatThrowsAtStart(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	script := b.upload(t, hello, nil)
	err := b.put(t, script, `throw new Error("refuses to start"); export default {};`, map[string]any{})
	wantCode(t, "throws at start", err, 10021)
	if err == nil || !strings.Contains(err.Error(), "refuses to start") {
		t.Errorf("the error must carry what the script said: %v", err)
	}
	if got := must(b.GetWorker(t.Context(), b.account, script))(t, "download"); got.Script != hello {
		t.Errorf("a refused upload replaced the script: %q", got.Script)
	}
}
