package platform_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

type signIn struct {
	Token, Error string
	Refresh      string `json:"refresh_token"`
}

// tokens drives auth-svc through the edge, as an app's back end and its browsers do.
type tokens struct{ *money }

func (k tokens) signIn(email string) (s signIn) {
	k.t.Helper()
	if code := k.call("POST", "/auth/token", fmt.Sprintf(`{"email":%q,"refresh":true}`, email), k.operator(), &s); code != http.StatusOK || s.Refresh == "" {
		k.t.Fatalf("sign-in of %s: %d %+v", email, code, s)
	}
	return s
}

func (k tokens) refresh(token string) (s signIn) {
	k.t.Helper()
	k.call("POST", "/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, token), nil, &s)
	return s
}

func (k tokens) active(token string) bool {
	k.t.Helper()
	var told struct{ Active *bool }
	if code := k.call("POST", "/auth/introspect", fmt.Sprintf(`{"token":%q}`, token), k.operator(), &told); code != http.StatusOK || told.Active == nil {
		k.t.Fatalf("introspect: %d", code)
	}
	return *told.Active
}

// knock calls a path that takes a token, and gives the gateway's word.
func (k tokens) knock(token string) string {
	k.t.Helper()
	var told struct{ Error string }
	code := k.call("GET", "/api/ai/binding", "", header{"Authorization": "Bearer " + token}, &told)
	return strings.TrimSpace(fmt.Sprintf("%d %s", code, told.Error))
}

// cogctl runs a command with a token on its standard input.
func (k tokens) cogctl(token string, want int, out any, args ...string) {
	k.t.Helper()
	cmd := k.command(args...)
	var printed, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(token+"\n"), &printed, &said
	_ = cmd.Run() // its exit code is looked at
	if code := cmd.ProcessState.ExitCode(); code != want {
		k.t.Fatalf("cogctl %v: exit %d, want %d\n%s%s", args, code, want, &printed, &said)
	}
	if err := json.Unmarshal(printed.Bytes(), out); err != nil {
		k.t.Fatalf("cogctl %v: %v in %s", args, err, &printed)
	}
	if strings.Contains(printed.String()+said.String(), token) {
		k.t.Errorf("cogctl %v shows the token", args)
	}
}

// TestTokensAreTakenBack goes through a sign-in's life on the whole platform: gone on with, stolen, ended by its holder and by an operator.
// The gateway reads the list of what is revoked once a minute, so everything is revoked before it looks for the first time.
func TestTokensAreTakenBack(t *testing.T) {
	t.Parallel()
	k := tokens{newMoney(t)}
	suspended := k.tenants()
	kept, stolen, left := k.signIn("kept@a.test"), k.signIn("stolen@a.test"), k.signIn("left@a.test")
	lost, named := k.signIn("lost@a.test"), k.signIn("named@a.test")

	next := k.refresh(kept.Refresh)
	if next.Token == "" || next.Refresh == kept.Refresh || !k.active(next.Token) || !k.active(next.Refresh) || k.active(kept.Refresh) {
		t.Fatalf("the next tokens are %+v", next)
	}

	thief := k.refresh(stolen.Refresh)
	if again := k.refresh(stolen.Refresh); again.Error != "refresh_token_reused" {
		t.Fatalf("a refresh token that comes again: %+v", again)
	}
	if again := k.refresh(thief.Refresh); again.Error != "refresh_token_invalid" || k.active(thief.Token) || k.active(stolen.Token) {
		t.Errorf("after the theft: %+v", again)
	}

	if code := k.call("POST", "/auth/revoke", "token="+left.Token, header{"Content-Type": "application/x-www-form-urlencoded"}, nil); code != http.StatusOK || k.active(left.Token) || !k.active(left.Refresh) {
		t.Errorf("a token that its holder gave back: %d", code)
	}
	if code := k.call("POST", "/auth/revoke", `{"subject":"kept@a.test"}`, header{"Authorization": "Bearer x"}, nil); code != http.StatusUnauthorized {
		t.Errorf("a stranger's revocation: %d", code)
	}
	if code := k.call("POST", "/auth/introspect", `{"token":"x"}`, nil, nil); code != http.StatusUnauthorized {
		t.Errorf("a stranger's introspection: %d", code)
	}

	var shown struct {
		Active bool
		Claims map[string]any
	}
	k.cogctl(lost.Token, 0, &shown, "token", "introspect")
	var plan, done struct {
		Kind, Value, Outcome string
		Within               int `json:"within_s"`
	}
	k.cogctl(lost.Token, 0, &plan, "token", "revoke", "--dry-run")
	if plan.Outcome != "planned" || plan.Kind != "jti" || plan.Value != shown.Claims["jti"] || !k.active(lost.Token) {
		t.Errorf("the plan is %+v", plan)
	}
	k.cogctl(lost.Token, 0, &done, "token", "revoke", "--reason", "in a public log")
	if done.Outcome != "revoked" || done.Value != plan.Value || done.Within != 420 {
		t.Errorf("the revocation is %+v", done)
	}
	k.cogctl(lost.Token, 1, &shown, "token", "introspect")
	k.must(0, &done, "token", "revoke", "--subject", "Named@a.test")
	if k.active(named.Token) || k.active(named.Refresh) {
		t.Error("a subject's tokens are active after it was revoked")
	}

	for name, c := range map[string]struct{ token, want string }{
		"kept": {kept.Token, "200"}, "next": {next.Token, "200"}, "stolen": {stolen.Token, "401 token_revoked"}, "the thief's": {thief.Token, "401 token_revoked"},
		"left": {left.Token, "401 token_revoked"}, "lost": {lost.Token, "401 token_revoked"}, "named": {named.Token, "401 token_revoked"},
		"of a suspended tenant": {suspended.Token, "403 tenant_suspended"},
	} {
		if got := k.knock(c.token); got != c.want {
			t.Errorf("the gateway says of the token %s: %s, want %s", name, got, c.want)
		}
	}
	for table, secret := range map[string]string{"auth.refresh": kept.Refresh, "auth.revocation": lost.Token} {
		if rows := k.sql("SELECT coalesce(string_agg(r::text, ' '), '') FROM " + table + " r"); rows == "" || strings.Contains(rows, secret) {
			t.Errorf("%s holds %q", table, rows)
		}
	}
	k.resumed(suspended)
	k.logged(lost.Token, kept.Refresh)
	k.testTurnstile()
}

// logged wants the admin log to say who did what with which outcome, and to hold no secret.
func (k tokens) logged(secrets ...string) {
	k.t.Helper()
	var log struct {
		Entries []struct {
			Action, Actor, Error string
			Address              string
			RequestID            string `json:"request_id"`
			Status               int
			Detail               map[string]any
		}
	}
	k.until("token of the last sign-in in the log", func() bool {
		k.must(0, &log, "admin", "log", "--action", "POST /auth/token")
		return len(log.Entries) == 7 // of those, two are a tenant's
	}, func() string { return fmt.Sprintf("%+v", log) })
	if e := log.Entries[0]; e.Detail["account"] != "named@a.test" || e.Detail["refresh"] != true || e.Status != http.StatusOK || e.Address == "" || e.RequestID == "" {
		k.t.Errorf("the log says of a sign-in: %+v", e)
	}
	k.must(0, &log, "admin", "log", "--action", "POST /auth/revoke")
	if len(log.Entries) != 2 || log.Entries[1].Detail["reason"] != "in a public log" || !strings.HasPrefix(log.Entries[1].Actor, "cogctl") || log.Entries[0].Detail["subject"] != "named@a.test" {
		k.t.Errorf("the log says of revocations: %+v", log)
	}
	// On a path that users have too, the key reads what is another's: that is kept as well, and never the query.
	k.call("GET", "/api/credits?email=kept@a.test", "", with(k.operator(), "X-Admin-Actor", "ann"), nil)
	k.call("GET", "/api/files/uploads%2Fa?email=kept@a.test", "", k.operator(), nil)
	k.until("readings of another's in the log", func() bool {
		k.must(0, &log, "admin", "log", "--account", "kept@a.test", "-n", "2")
		return len(log.Entries) == 2 && log.Entries[0].Status+log.Entries[1].Status == http.StatusNotFound+http.StatusForbidden
	}, func() string { return fmt.Sprintf("%+v", log) })
	for _, e := range log.Entries { // what only reads is kept in the background, in any order
		credits := e.Action == "GET /api/credits" && e.Actor == "ann" && e.Error == "account_unknown"
		if file := e.Action == "GET /api/files/:key" && e.Detail["path"] == "/api/files/uploads%2Fa"; !credits && !file {
			k.t.Errorf("the log says of a reading: %+v", e)
		}
	}
	rows := k.sql("SELECT string_agg(r::text, ' ') FROM auth.admin_log r")
	for _, secret := range append(secrets, k.admin) {
		if strings.Contains(rows, secret) {
			k.t.Error("the admin log holds a secret")
		}
	}
	for _, change := range []string{"UPDATE auth.admin_log SET actor = 'x'", "DELETE FROM auth.admin_log", "TRUNCATE auth.admin_log"} {
		if _, err := k.db.Exec(k.t.Context(), change); err == nil || !strings.Contains(err.Error(), "42501") {
			k.t.Errorf("%s: %v", change, err)
		}
	}
}
