package platform_test

import "net/http"

// tenants adds a tenant and suspends it, and gives a sign-in of it that nobody lets in any more.
func (k tokens) tenants() (of signIn) {
	k.t.Helper()
	const mint = `{"email":"tenant@a.test","tid":"acme","refresh":true}`
	var told signIn
	if code := k.call("POST", "/auth/token", mint, k.operator(), &told); code != http.StatusNotFound || told.Error != "unknown_tenant" {
		k.t.Errorf("a token of a tenant that is not there: %d %+v", code, told)
	}
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/api/admin/limits?tenant=acme", ""}, {"PUT", "/api/admin/limits", `{"tenant":"acme","credits_a_day":1,"reason":"x"}`},
	} {
		told = signIn{}
		if code := k.call(c.method, c.path, c.body, k.operator(), &told); code != http.StatusNotFound || told.Error != "unknown_tenant" {
			k.t.Errorf("%s limits of a tenant that is not there: %d %+v", c.method, code, told)
		}
	}
	var r struct {
		Changed bool
		Within  int `json:"within_s"`
		Tenants []struct{ Tenant, State, Why string }
	}
	k.must(0, &r, "tenants", "add", "acme", "--reason", "test", "--dry-run")
	if k.must(0, &r, "tenants", "list"); len(r.Tenants) != 0 {
		k.t.Errorf("a dry run added %+v", r)
	}
	k.must(0, &r, "tenants", "add", "acme", "--reason", "test")
	if k.must(0, &r, "tenants", "add", "acme", "--reason", "again"); r.Changed || len(r.Tenants) != 1 || r.Tenants[0].Why != "test" {
		k.t.Errorf("added again: %+v", r)
	}
	if code := k.call("POST", "/auth/token", mint, k.operator(), &of); code != http.StatusOK || !k.active(of.Token) || !k.active(of.Refresh) {
		k.t.Fatalf("a token of a tenant: %d %+v", code, of)
	}
	if code := k.call("GET", "/api/admin/limits?tenant=acme", "", k.operator(), nil); code != http.StatusOK {
		k.t.Errorf("limits of a tenant: %d", code)
	}
	if k.must(0, &r, "tenants", "suspend", "acme", "--reason", "unpaid"); !r.Changed || r.Within != 420 || r.Tenants[0].State != "suspended" {
		k.t.Errorf("suspended: %+v", r)
	}
	if next := k.refresh(of.Refresh); next.Error != "tenant_suspended" || k.active(of.Token) || k.active(of.Refresh) {
		k.t.Errorf("a sign-in of a suspended tenant goes on: %+v", next)
	}
	return of
}

// resumed lets a tenant's sign-in go on where it stood.
func (k tokens) resumed(of signIn) {
	k.t.Helper()
	k.must(0, nil, "tenants", "resume", "acme", "--reason", "paid")
	if next := k.refresh(of.Refresh); next.Token == "" || !k.active(of.Token) || !k.active(next.Refresh) {
		k.t.Errorf("a sign-in of a tenant that was resumed: %+v", next)
	}
	if rows := k.sql("SELECT string_agg(concat_ws(' ', detail->>'action', detail->>'tenant', detail->>'changed', status), ', ' ORDER BY id) FROM auth.admin_log WHERE action = 'POST /api/admin/tenants' AND phase = 'answered'"); rows != "add acme true 200, add acme false 200, suspend acme true 200, resume acme true 200" {
		k.t.Errorf("the log has of tenants: %s", rows)
	}
}
