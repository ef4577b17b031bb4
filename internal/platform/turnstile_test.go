package platform_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// testTurnstile has guests pass Turnstile, from a secret that is set to it being away, and wants no token to come of any refusal.
func (k tokens) testTurnstile() {
	k.t.Helper()
	const secret = "0x4AAAAAAAthesecretofawidget"
	k.bind("auth-svc", "TURNSTILE_SECRET", secret)
	code, out, said := k.run("token", "guest")
	if code != 2 || !strings.Contains(out+said, "turnstile_required") || !strings.Contains(out+said, "cogctl local turnstile") {
		k.t.Errorf("cogctl token guest: %d %s%s", code, out, said)
	}
	good := k.solved()
	var minted struct{ Token string }
	k.must(0, &minted, "token", "guest", "--turnstile", good)
	if got := k.knock(minted.Token); got != "200" {
		k.t.Errorf("a token of somebody who passed: %s", got)
	}
	for name, is := range map[string]struct{ response, want string }{
		"none":                    {"", "400 turnstile_required"},
		"one that was used":       {good, "403 turnstile_failed The response is too old, or was used before."},
		"one that is none":        {"1.made.up", "403 turnstile_failed Turnstile did not accept the response."},
		"of a foreign page":       {k.solved("--hostname", "evil.example"), "403 turnstile_failed The response was given on another site."},
		"for something else":      {k.solved("--action", "login"), "403 turnstile_failed The response was given for something else."},
		"the dummy of a test key": {k.solved("--sitekey", "1x00000000000000000000AA"), "403 turnstile_failed Turnstile did not accept the response."},
	} {
		if got := k.enter(is.response); !strings.HasPrefix(got, is.want) {
			k.t.Errorf("a response: %s: %s, want %s", name, got, is.want)
		}
	}
	later := k.solved()
	for _, kind := range []string{"refuse", "500", "html", "reset"} {
		k.must(0, nil, "local", "faults", "set", "turnstile", "--"+kind, "1")
		if got := k.enter(later); got != "503 turnstile_unavailable" {
			k.t.Errorf("with Turnstile away by %s: %s", kind, got)
		}
	}
	if code, out, said := k.run("token", "guest", "--turnstile", later); code != 3 || !strings.Contains(said+out, "nobody gets in") {
		k.t.Errorf("cogctl token guest with Turnstile away: %d %s%s", code, out, said)
	}
	k.must(0, nil, "local", "faults", "clear", "turnstile")
	if got := k.enter(later); got != "200" {
		k.t.Errorf("the same response once Turnstile is back: %s", got)
	}
	for name, is := range map[string]struct{ secret, want string }{
		"that is none": {"not-a-secret", "503 turnstile_unavailable"}, "for tests, of the spent": {"3x0000000000000000000000000000000AA", "403 turnstile_failed The response is too old, or was used before."},
		"for tests, that passes, on no page of ours": {"1x0000000000000000000000000000000AA", "403 turnstile_failed The response was given on another site."},
	} {
		k.bind("auth-svc", "TURNSTILE_SECRET", is.secret)
		if got := k.enter(k.solved()); got != is.want {
			k.t.Errorf("a secret %s: %s, want %s", name, got, is.want)
		}
	}
	k.neverHeld(secret, good)
}

// bind gives a Worker a secret, as an operator does.
func (k tokens) bind(worker, name, value string) {
	k.t.Helper()
	k.api("PUT", "/accounts/"+k.endpoints().AccountID+"/workers/scripts/"+worker+"/secrets", fmt.Sprintf(`{"name":%q,"type":"secret_text","text":%q}`, name, value))
}

func (k tokens) solved(flags ...string) string {
	k.t.Helper()
	var solved struct{ Response string }
	k.must(0, &solved, append([]string{"local", "turnstile"}, flags...)...)
	return solved.Response
}

// enter asks for a guest's token with a response, and tells the answer; what is refused must hold no token.
func (k tokens) enter(response string) string {
	k.t.Helper()
	body := map[string]string{}
	if response != "" {
		body["turnstile_token"] = response
	}
	raw, err := json.Marshal(body)
	if err != nil {
		k.t.Fatal(err)
	}
	var told struct{ Token, Error, Detail string }
	code := k.call("POST", "/auth/guest", string(raw), nil, &told)
	if (code == http.StatusOK) != (told.Token != "") {
		k.t.Errorf("%d with the token %q", code, told.Token)
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", code, told.Error, told.Detail))
}

// neverHeld wants what was sent to Turnstile in no log of the Worker that sent it.
func (k tokens) neverHeld(secrets ...string) {
	k.t.Helper()
	_, out, said := k.run("local", "logs", "auth-svc", "-n", "1000")
	for _, secret := range secrets {
		if strings.Contains(out+said, secret) {
			k.t.Errorf("auth-svc's log holds %q", secret)
		}
	}
}
