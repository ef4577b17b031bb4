package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/rotation"
	"github.com/cognomega/edge/internal/term"
)

// kidText is enough of a name to recognise it: thumbprints are long.
func kidText(kid string) string {
	if len(kid) > 12 {
		return kid[:8] + "…"
	}
	return kid
}

// timelineRows draws the events from now on: "+8m20s", and the clock time beside it.
func timelineRows(s *rotation.Status) term.Rows {
	rows := term.Rows{Columns: []string{"when", "at", "what", "after"}, Empty: "no rotation yet"}
	for _, e := range s.Timeline {
		sign := term.DimText(offset(e.At.Sub(s.At)))
		if e.State == "due" {
			sign = term.Text{Text: "due", Tone: term.Warn}
		}
		if e.State == "done" {
			sign = term.Sign(term.Pass)
			sign.Text += " done"
		}
		rows.Rows = append(rows.Rows, []term.Text{sign, term.T(e.At.Format(time.DateTime)), term.T(eventText(e)), term.DimText(e.Because)})
	}
	return rows
}

func offset(d time.Duration) string {
	if d < 0 {
		return "-" + rough(-d)
	}
	return "+" + rough(d)
}

func eventText(e rotation.Event) string {
	kid := kidText(e.KID)
	if e.KID == "next" {
		kid = "the next key"
	}
	switch e.Event {
	case "publish":
		return kid + " published"
	case "sign":
		return kid + " signs"
	case "leave":
		return kid + " leaves the key set"
	default:
		return "no reader has " + kid + " any more"
	}
}

// heldRows lists the keys; each name is given whole, because other commands take it.
func heldRows(s *rotation.Status) term.Rows {
	rows := term.Rows{Columns: []string{"kid", "state", "slot", "since"}, Empty: "no keys"}
	for _, k := range s.Keys {
		since := ""
		for _, t := range []*time.Time{k.LeftAt, k.SignsFrom, k.PublishedAt} {
			if t != nil {
				since = t.Format(time.DateTime)
				break
			}
		}
		state := term.T(k.State)
		if k.State == "signs" {
			state.Tone = term.Strong
		}
		rows.Rows = append(rows.Rows, []term.Text{term.T(k.KID), state, term.T(k.Slot), term.DimText(since)})
	}
	return rows
}

// phaseLine says in a sentence where the rotation is.
func phaseLine(s *rotation.Status) term.Line {
	var signs, next, leaving string
	for _, k := range s.Keys {
		switch k.State {
		case "signs":
			signs = kidText(k.KID)
		case "next":
			next = kidText(k.KID)
		case "leaving":
			leaving = kidText(k.KID)
		}
	}
	text := map[rotation.Phase]string{
		rotation.Stable: "stable: " + signs + " signs", rotation.Begun: "a rotation has begun; " + signs + " signs",
		rotation.Stored:    next + " is in its slot and not published; " + signs + " signs",
		rotation.Published: next + " is published and may not sign yet; " + signs + " signs",
		rotation.Signing:   signs + " signs; " + leaving + " is still published",
	}[s.Phase]
	switch {
	case s.Revoking != "":
		return term.Headline(term.Warning, "revoking "+kidText(s.Revoking)+": "+text)
	case s.Overdue:
		return term.Headline(term.Warning, text+"; its next step is due, and nobody takes it")
	case s.Phase == rotation.Stable:
		return term.Headline(term.Pass, text)
	default:
		return term.Line{term.Text{Text: "◐ ", Tone: term.Warn}, term.T(text)}
	}
}

// explainRows is the arithmetic of every wait, with where each number is declared.
func explainRows(w rotation.Waits) term.Rows {
	where := map[string]string{
		"KV visibility": "jwks.kv_visibility_max_s", "JWKS max-age": "jwks.max_age_s", "gateway cache": "jwks.gateway_cache_s",
		"token life": "token.life_s", "clock skew": "token.clock_skew_s", "margin": "signing.margin_s", "propagation of the secret": "signing.propagation_s",
		"longest step": "cogctl's own limit",
	}
	rows := term.Rows{Columns: []string{"wait until", "term", "for", "contract/auth.json"}}
	for _, wait := range []rotation.Wait{w.Sign, w.Leave, w.Forget, w.Gateway, w.Settle} {
		why := wait.Why
		for _, t := range wait.Terms {
			rows.Rows = append(rows.Rows, []term.Text{term.T(why), term.T(t.Name), term.T(t.For.String()), term.DimText(where[t.Name])})
			why = ""
		}
		rows.Rows = append(rows.Rows, []term.Text{term.T(""), {Text: "all together", Tone: term.Strong}, {Text: wait.Total().String(), Tone: term.Strong}, term.DimText("")})
	}
	return rows
}

// waitsData is the same arithmetic for programs.
type waitsData struct {
	SignMS    int64 `json:"sign_ms"`
	LeaveMS   int64 `json:"leave_ms"`
	ForgetMS  int64 `json:"forget_ms"`
	GatewayMS int64 `json:"gateway_ms"`
	SettleMS  int64 `json:"settle_ms"`
}

func waitsOf(w rotation.Waits) waitsData {
	return waitsData{
		w.Sign.Total().Milliseconds(), w.Leave.Total().Milliseconds(), w.Forget.Total().Milliseconds(), w.Gateway.Total().Milliseconds(), w.Settle.Total().Milliseconds(),
	}
}

func exposureText(kid string, w rotation.Waits) string {
	return fmt.Sprintf("%s lives on for at most %s (%s); at the gateway, while KV answers, %s",
		kidText(kid), w.Forget.Total(), strings.TrimSuffix(w.Forget.Sum(), " = "+w.Forget.Total().String()), w.Gateway.Total())
}
