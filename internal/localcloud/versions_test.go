package localcloud_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// A release is tried before anybody gets it: two Workers have a new version each that takes no share, and a request names both.
func TestARequestPinsTheVersionsThatServeIt(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, t.TempDir()).Endpoints())
	const inner = `export default { fetch: () => new Response("inner WORD") };`
	const outer = `export default { async fetch(r, env) {
  const name = "cloudflare-workers-version-overrides", given = r.headers.get(name);
  const answer = await env.INNER.fetch("https://service/", given === null ? {} : { headers: { [name]: given } });
  return new Response("outer WORD, " + await answer.text());
} };`
	ids := map[string]string{}
	for _, script := range []struct {
		name, code string
		bindings   []map[string]any
	}{{"inner", inner, nil}, {"outer", outer, []map[string]any{{"type": "service", "name": "INNER", "service": "inner"}}}} {
		at := "/accounts/" + c.e.AccountID + "/workers/scripts/" + script.name
		for _, word := range []string{"new", "old"} {
			c.upload(200, script.name, strings.ReplaceAll(script.code, "WORD", word), script.bindings...)
			var deployed struct {
				Deployments []struct {
					Versions []struct {
						ID string `json:"version_id"`
					}
				}
			}
			c.json(200, "GET", at+"/deployments", nil, &deployed)
			ids[script.name+" "+word] = deployed.Deployments[0].Versions[0].ID
		}
		c.json(200, "POST", at+"/deployments", map[string]any{"strategy": "percentage", "versions": []map[string]any{
			{"version_id": ids[script.name+" old"], "percentage": 100}, {"version_id": ids[script.name+" new"], "percentage": 0},
		}}, nil)
	}
	c.own("api."+zoneName, "outer")
	for overrides, want := range map[string]string{
		"":                                 "outer old, inner old",
		`outer="` + ids["outer new"] + `"`: "outer new, inner old",
		`inner="` + ids["inner new"] + `"`: "outer old, inner new",
		`outer="` + ids["outer new"] + `", inner="` + ids["inner new"] + `"`: "outer new, inner new",
		`outer="` + ids["inner new"] + `"`:                                   "outer old, inner old",
		`outer="` + ids["outer new"] + `", inner=`:                           "outer old, inner old",
	} {
		req, err := http.NewRequest(http.MethodGet, "https://api."+zoneName+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if overrides != "" {
			req.Header.Set("Cloudflare-Workers-Version-Overrides", overrides)
		}
		res, err := c.edge.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := io.ReadAll(res.Body)
		if _ = res.Body.Close(); string(raw) != want {
			t.Errorf("%s: %q, want %q", overrides, raw, want)
		}
	}
}
