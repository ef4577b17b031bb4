package platform_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

const microPerToken = 50 // 0.05 credits for 1,000 tokens

// ask sends a question through the edge; the answer's body is the caller's to close. A key whose first answer is still being kept is asked again, and so is one that was asked too often.
func (m *money) ask(ctx context.Context, with header, input string) (res *http.Response) {
	m.t.Helper()
	m.until("key that is free", func() bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.edge+"/api/si/ask", strings.NewReader(fmt.Sprintf(`{"skill":"explain","input":%q}`, input)))
		if err != nil {
			m.t.Fatal(err)
		}
		for name, value := range with {
			req.Header.Set(name, value)
		}
		if res, err = m.http.Do(req); err != nil {
			m.t.Fatal(err)
		}
		later := res.StatusCode == http.StatusConflict || res.StatusCode == http.StatusTooManyRequests
		if later {
			_ = res.Body.Close()
		}
		return !later
	}, func() string { return input })
	if res.StatusCode != http.StatusOK {
		raw, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		m.t.Fatalf("ask: %d %s", res.StatusCode, raw)
	}
	return res
}

// asked reads an answer to its end.
func (m *money) asked(with header, input string) (http.Header, string) {
	m.t.Helper()
	res := m.ask(m.t.Context(), with, input)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	return res.Header, string(raw)
}

// awaitCharge waits for the one transfer of an account and gives what was taken and its note.
func (m *money) awaitCharge(account, note string) (amount int64, noted string) {
	m.t.Helper()
	const count = "SELECT count(*) FROM ledger.transfer t JOIN ledger.account a ON a.id = t.debit_id WHERE a.ref = $1"
	m.until("transfer of "+account, func() bool { return one[int64](m, count, account) > 0 }, func() string { return "none" })
	const row = "FROM ledger.transfer t JOIN ledger.account a ON a.id = t.debit_id WHERE a.ref = $1"
	return one[int64](m, "SELECT sum(amount)::bigint "+row, account), one[string](m, "SELECT string_agg(t.meta->>'"+note+"', ' | ') "+row, account)
}

// What a model answered is in the ledger once and at the price that the answer said, whoever finished it and however often it was asked for.
func TestAnAnswerIsChargedOnce(t *testing.T) {
	t.Parallel()
	m := newMoney(t)
	plain, keyed := "plain@example.test", "keyed@example.test"
	h, _ := m.asked(m.user(plain), "why is the sky blue")
	in, _ := strconv.ParseInt(h.Get("X-Tokens-In"), 10, 64)
	out, _ := strconv.ParseInt(h.Get("X-Tokens-Out"), 10, 64)
	if amount, model := m.awaitCharge(plain, "model"); in == 0 || out == 0 || amount != (in+out)*microPerToken || model != h.Get("X-Model") {
		t.Errorf("%d and %d tokens of %s were charged %d for %s", in, out, h.Get("X-Model"), amount, model)
	}
	m.awaitBalance(m.user(plain), -float64((in+out)*microPerToken)/1e6)
	once := with(m.user(keyed), "Idempotency-Key", "ask-1")
	_, first := m.asked(once, "twice")
	m.until("answer that is kept", func() bool {
		again, text := m.asked(once, "twice")
		return again.Get("X-Cache") == "HIT" && said(text) == said(first)
	}, func() string { return first })
	price, _ := m.awaitCharge(keyed, "model")
	m.until("balance with an answer", func() bool {
		again, _ := m.asked(once, "twice")
		return again.Get("X-Credits-Balance") == fmt.Sprintf("%.3f", -float64(price)/1e6)
	}, func() string { return fmt.Sprint(price) })
	m.must(0, nil, "local", "faults", "set", "groq", "--cut", "1", "--after", "3")
	stream := func(email string) header { return with(m.user(email), "Accept", "text/event-stream") }
	_, text := m.asked(stream("cut@example.test"), "a longer question about nothing at all")
	amount, attempts := m.awaitCharge("cut@example.test", "attempts")
	if !strings.Contains(text, fmt.Sprintf(`"credits_used":%s,`, strings.TrimRight(fmt.Sprintf("%.3f", float64(amount)/1e6), "0"))) ||
		!strings.Contains(attempts, " cut ") || !strings.Contains(attempts, "cfai") {
		t.Errorf("charged %d after %s, and said %s", amount, attempts, text)
	}
	m.must(0, nil, "local", "faults", "set", "groq", "--delay", "20s")
	h, _ = m.asked(with(m.user("hedged@example.test"), "X-Intelligence-Tier", "advanced"), "a question that the first model is silent about")
	if _, attempts = m.awaitCharge("hedged@example.test", "attempts"); h.Get("X-Provider") != "cfai" || !strings.Contains(attempts, " outrun ") || strings.Count(attempts, " answered ") != 1 {
		t.Errorf("answered by %s after %s", h.Get("X-Provider"), attempts)
	}
	m.must(0, nil, "local", "faults", "clear")
	known := m.askedTillKnown(with(m.user("known@example.test"), "Cache-Control", "max-age=600"))
	m.asked(header{"Authorization": "Bearer " + m.guest()}, "for nothing")
	m.looksAt("eye@example.test")
	m.listensTo(t, "ear@example.test")
	last := "last@example.test" // one batch at a time: what was sent before it is in the ledger when it is
	m.asked(m.user(last), "the last")
	m.awaitCharge(last, "model")
	if n := one[int64](m, "SELECT count(*) FROM ledger.transfer"); n != 7+known {
		t.Errorf("%d transfers, want one for each of seven users, and %d", n, known)
	}
	if n := one[int64](m, "SELECT count(*) FROM ledger.review") + one[int64](m, "SELECT count(*) FROM ledger.drift"); n != 0 {
		t.Errorf("%d lines of drift or review", n)
	}
}

// looksAt stores an image and has a model look at it: the model has its bytes, and what it says that they came to is charged.
func (m *money) looksAt(who string) {
	m.t.Helper()
	const pixel = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
	_, stored := files{m}.send(with(m.user(who), "Content-Type", "image/png"), "/api/files?filename=cat.png", strings.NewReader(pixel), int64(len(pixel)))
	body := fmt.Sprintf(`{"skill":"vision-analyze","input":"what is this","attachments":[{"storage":"r2","key":%q,"role":"image"}]}`, stored["key"])
	var answer struct {
		Result struct {
			Content string
			Meta    struct {
				In  int64 `json:"tokens_in"`
				Out int64 `json:"tokens_out"`
			}
		}
	}
	code := m.call("POST", "/api/si/ask", body, m.user(who), &answer)
	got, want := answer.Result, fmt.Sprintf("showed image/png of 16 bytes with SHA-256 %x", sha256.Sum256([]byte(pixel)))
	if code != http.StatusOK || !strings.Contains(got.Content, want) || got.Meta.In < 765 {
		m.t.Errorf("%d %+v, want %s", code, got, want)
	}
	if amount, _ := m.awaitCharge(who, "model"); amount != (got.Meta.In+got.Meta.Out)*microPerToken {
		m.t.Errorf("an image was charged %d for %+v", amount, got.Meta)
	}
}

// askedTillKnown asks the same until it is answered without a model, for nothing, and gives how often a model answered: it is kept a moment after the first answer.
func (m *money) askedTillKnown(who header) (asked int64) {
	m.t.Helper()
	m.until("answer that is known", func() bool {
		h, text := m.asked(who, "what is known")
		if h.Get("X-Cache") != "HIT" {
			asked++
			return false
		}
		if h.Get("Age") == "" || h.Get("X-Credits-Used") != "0.000" || !strings.Contains(text, "what is known") {
			m.t.Errorf("known: %v %s", h, text)
		}
		return true
	}, func() string { return fmt.Sprint(asked) })
	return asked
}

// A caller that goes away in the middle of a stream pays for what was generated.
func TestAStreamThatItsCallerLeftIsCharged(t *testing.T) {
	t.Parallel()
	m := newMoney(t)
	m.leave(with(m.user("left@example.test"), "Accept", "text/event-stream"))
	if amount, finish := m.awaitCharge("left@example.test", "finish"); amount <= 0 || finish != "left" {
		t.Errorf("a caller that left was charged %d, and the stream ended by %q", amount, finish)
	}
}

// said is an answer without the id of its request.
func said(text string) string {
	content, _, _ := strings.Cut(text, `"request_id"`)
	return content
}

// leave reads the beginning of a stream that then stands still, and goes away.
func (m *money) leave(who header) {
	m.t.Helper()
	m.must(0, nil, "local", "faults", "set", "groq", "--stall", "1", "--after", "4")
	ctx, cancel := context.WithCancel(m.t.Context())
	defer cancel()
	res := m.ask(ctx, who, "a question whose answer nobody waits for")
	defer res.Body.Close()
	if line, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil || !strings.HasPrefix(line, "event: message") {
		m.t.Fatalf("the stream began with %q (%v)", line, err)
	}
}

func (m *money) guest() string {
	m.t.Helper()
	var minted struct{ Token string }
	if code := m.call("POST", "/auth/guest", "", nil, &minted); code != http.StatusOK {
		m.t.Fatalf("guest: %d", code)
	}
	return minted.Token
}
