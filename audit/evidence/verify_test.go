package evidence_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	attestation "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/cognomega/edge/audit"
	"github.com/cognomega/edge/audit/ai"
	"github.com/cognomega/edge/audit/evidence"
	"github.com/cognomega/edge/audit/routes"
	"github.com/cognomega/edge/contract"
	"github.com/cognomega/edge/internal/fault"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	v, err := b.verify(b.aiProof())
	if err != nil {
		t.Fatal(err)
	}
	p := v.Statement.Predicate
	if p.Check != "ai-binding" || p.Result.Verdict != audit.Pass || p.Where.Name != "production" || p.Where.AccountID != account || p.Tool != "cogctl test" ||
		p.Contract != b.contract.Digest() || !p.At.Equal(at()) || v.Key.ID != b.signer.ID || v.Statement.Subject[1].Digest["cloudflareEtag"] != "abc" {
		t.Errorf("got %s", v.Payload)
	}
	if files := b.files(); len(files) != 1 || filepath.Base(files[0]) != "2026-11-22T18-40-11Z-production-ai-binding.json" {
		t.Errorf("kept %v", files)
	}
}

func TestProofsOfOneSecondAreAllKept(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	r, err := ai.Check().Run(t.Context(), b.target)
	if err != nil {
		t.Fatal(err)
	}
	paths := make([]string, 8)
	var wg sync.WaitGroup
	for i := range paths {
		wg.Go(func() {
			var err error
			if paths[i], err = evidence.Keep(t.Context(), b.dir, ai.Check(), b.target, b.origin(), r); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	slices.Sort(paths)
	if files := b.files(); len(files) != len(paths) || len(slices.Compact(paths)) != len(files) || !strings.HasSuffix(paths[0], "-production-ai-binding-2.json") {
		t.Errorf("kept %v of %v", files, paths)
	}
}

// TestOthersCanReadIt verifies by the specifications alone: DSSE's pre-authentication encoding and in-toto's own types.
func TestOthersCanReadIt(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	var e struct {
		PayloadType string
		Payload     []byte
		Signatures  []struct {
			KeyID string `json:"keyid"`
			Sig   []byte `json:"sig"`
		}
	}
	if err := json.Unmarshal(b.aiProof(), &e); err != nil {
		t.Fatal(err)
	}
	pae := fmt.Sprintf("DSSEv1 %d %s %d %s", len(e.PayloadType), e.PayloadType, len(e.Payload), e.Payload)
	if e.PayloadType != "application/vnd.in-toto+json" || len(e.Signatures) != 1 || !ed25519.Verify(b.signer.Public, []byte(pae), e.Signatures[0].Sig) {
		t.Errorf("not a DSSE envelope: %+v", e)
	}
	var s attestation.Statement
	if err := protojson.Unmarshal(e.Payload, &s); err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(); err != nil || s.GetPredicateType() != "https://cognomega.com/cogctl/proof/v2" {
		t.Errorf("not an in-toto statement: %v", err)
	}
}

func TestEveryFlippedBitIsRejected(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	raw := b.aiProof()
	for i := range raw {
		for bit := range 8 {
			changed := bytes.Clone(raw)
			changed[i] ^= 1 << bit
			if _, err := b.verify(changed); err == nil {
				t.Fatalf("byte %d (%q) with bit %d flipped is verified", i, raw[i], bit)
			}
		}
	}
	for i := range raw {
		if _, err := b.verify(raw[:i]); err == nil {
			t.Fatalf("cut at %d it is verified", i)
		}
	}
	for name, changed := range map[string][]byte{
		"a space after it": append(bytes.Clone(raw), ' '), "twice": append(bytes.Clone(raw), raw...), "a byte order mark": append([]byte("\xef\xbb\xbf"), raw...),
		"windows line ends": bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n")),
	} {
		if _, err := b.verify(changed); err == nil {
			t.Errorf("with %s it is verified", name)
		}
	}
}

// resign changes what a proof says and signs it again with the same, trusted key: only its own data can give it away.
func (b *bed) resign(raw []byte, change func(payload string) string) []byte {
	b.t.Helper()
	var e struct{ Payload []byte }
	if err := json.Unmarshal(raw, &e); err != nil {
		b.t.Fatal(err)
	}
	changed := change(string(e.Payload))
	if changed == string(e.Payload) {
		b.t.Fatal("nothing was changed")
	}
	sealed, err := evidence.Seal(b.t.Context(), b.signer, []byte(changed))
	if err != nil {
		b.t.Fatal(err)
	}
	return sealed
}

func swap(old, with string) func(string) string {
	return func(payload string) string { return strings.Replace(payload, old, with, 1) }
}

func TestAForgedVerdictDoesNotFollow(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	shadow := b.routesProof(b.capture(routes.Route{ID: "r2", Pattern: b.target.Hostname + "/api/voice/*", Script: "voice-preview"}))
	if v, err := b.verify(shadow); err != nil || v.Statement.Predicate.Result.Verdict != audit.Fail {
		t.Fatalf("an honest failure is a good proof: %v", err)
	}
	clean := b.routesProof(b.capture())
	if v, err := b.verify(clean); err != nil || v.Statement.Predicate.Result.Verdict != audit.Pass {
		t.Fatalf("got %v", err)
	}
	result := func(raw []byte) string { // everything the clean proof says, but for the capture
		var e struct{ Payload []byte }
		_ = json.Unmarshal(raw, &e)
		text := string(e.Payload)
		return text[strings.Index(text, `"result":{`):strings.Index(text, `,"evidence":`)]
	}
	tests := map[string]struct {
		raw    []byte
		change func(string) string
		says   string
	}{
		"verdict alone":     {shadow, swap(`"verdict":"fail"`, `"verdict":"pass"`), "it says pass, its own evidence says fail: route_shadow at https://api.cognomega.com/api/voice/"},
		"whole result":      {shadow, swap(result(shadow), result(clean)), "it says pass, its own evidence says fail"},
		"a finding softer":  {shadow, swap(`"severity":"error"`, `"severity":"note"`), "its findings are not those"},
		"another summary":   {clean, swap(`0 findings in zone`, `0  findings in zone`), "its summary"},
		"another judgement": {clean, swap(`"regions":`, `"regions":1`), "contradicts itself"},
		"another host":      {clean, swap(`"host":"api.cognomega.com"`, `"host":"www.cognomega.com"`), "a capture of www.cognomega.com"},
		"another account":   {clean, swap(`"environment":{"name":"production","stack":"cognomega/production","account_id":"f`, `"environment":{"name":"production","stack":"cognomega/production","account_id":"e`), "of account f"},
		"an old capture":    {clean, swap(`"at":"2026-11-22T18:40:11Z","account_id"`, `"at":"2026-11-21T18:40:11Z","account_id"`), "it was seen at 2026-11-21"},
		"another time":      {clean, swap(`"at":"2026-11-22T18:40:11Z","tool"`, `"at":"2026-11-23T18:40:11Z","tool"`), "it was seen at 2026-11-22"},
		"another env":       {clean, swap(`"name":"production"`, `"name":"staging"`), "environment staging is api.staging.cognomega.com"},
		"an unknown env":    {clean, swap(`"name":"production"`, `"name":"moon"`), `no environment "moon"`},
		"another stack":     {clean, swap(`cognomega/production`, `cognomega/staging`), "is about stack"},
		"another url":       {clean, swap(`"url":"https://api.cognomega.com"`, `"url":"https://api.example.com"`), "environment production is api.cognomega.com"},
		"another title":     {clean, swap(`"title":"one`, `"title":"every`), "not what the check is about"},
		"another check":     {clean, swap(`"check":"routes"`, `"check":"ai-binding"`), "not what the check is about"},
		"no contract named": {clean, swap(`"name":"contract"`, `"name":"worker/x"`), "first subject is not the contract"},
		"a bare subject":    {clean, swap(`{"cloudflareEtag":"abc"}`, `{}`), "has no digest"},
		"a key twice":       {clean, swap(`"check":`, `"check":"ai-binding","check":`), "not in the form"},
		"spaces":            {clean, swap(`,"predicate":`, `, "predicate":`), "not in the form"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := b.verify(b.resign(tt.raw, tt.change))
			if !errors.Is(err, fault.Denied) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAnOpenVerdictStaysOpen(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	c := b.capture()
	c.Unseen = []routes.Unseen{{What: "redirect rules", Why: "10000 Authentication error"}}
	open := b.routesProof(c)
	v, err := b.verify(open)
	if err != nil || v.Statement.Predicate.Result.Verdict != audit.Inconclusive {
		t.Errorf("%v %s", err, v.Statement.Predicate.Result.Verdict)
	}
	for _, better := range []audit.Verdict{audit.Pass, audit.Fail} {
		_, err := b.verify(b.resign(open, swap(`"verdict":"inconclusive"`, `"verdict":"`+string(better)+`"`)))
		if !errors.Is(err, fault.Denied) || !strings.Contains(err.Error(), "its own evidence says inconclusive") {
			t.Errorf("got %v", err)
		}
	}
}

func TestAForgedAnswerIsStillJudged(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	_, err := b.verify(b.resign(b.aiProof(), func(p string) string { return strings.ReplaceAll(p, `\"ai_bound\":true`, `\"ai_bound\":false`) }))
	if !errors.Is(err, fault.Denied) || !strings.Contains(err.Error(), "it says pass, its own evidence says fail: ai_unbound") {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsNoProof(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	clean := b.aiProof()
	other := newBed(t)
	foreign := other.aiProof()
	tests := map[string]struct {
		raw  []byte
		kind fault.Kind
		says string
	}{
		"empty":              {nil, fault.Invalid, "not a proof"},
		"a text":             {[]byte("hello"), fault.Invalid, "not a DSSE envelope"},
		"an old proof":       {[]byte(`{"schema":"cogctl/proof/v1","verdict":"pass"}`), fault.Invalid, "schema cogctl/proof/v1 without a signature"},
		"another payload":    {bytes.Replace(clean, []byte("in-toto"), []byte("in-tuto"), 1), fault.Invalid, "the envelope carries"},
		"no signature":       {[]byte(`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[]}`), fault.Invalid, "0 signatures"},
		"another key":        {foreign, fault.Unauthenticated, "signed by key " + other.signer.ID[:16]},
		"its key claimed":    {bytes.Replace(foreign, []byte(other.signer.ID), []byte(b.signer.ID), 1), fault.Denied, "does not verify"},
		"another schema":     {b.resign(clean, swap("proof/v2", "proof/v9")), fault.Invalid, "proof/v9"},
		"another statement":  {b.resign(clean, swap("Statement/v1", "Statement/v0.1")), fault.Invalid, "Statement/v0.1"},
		"an unknown check":   {b.resign(clean, swap(`"check":"ai-binding"`, `"check":"tea-leaves"`)), fault.Invalid, `no check "tea-leaves"`},
		"another form":       {b.resign(clean, swap(`"form":0`, `"form":1`)), fault.Invalid, "has form 1, this one judges form 0"},
		"an unknown member":  {b.resign(clean, swap(`"check":`, `"mood":"good","check":`)), fault.Invalid, "mood"},
		"not even JSON":      {b.resign(clean, func(string) string { return "pass" }), fault.Invalid, "not JSON"},
		"more than one":      {b.resign(clean, func(p string) string { return p + "{}" }), fault.Invalid, "not JSON"},
		"a signature padded": {pad(clean), fault.Denied, "not in the form"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := b.verify(tt.raw)
			if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
			if tt.kind == fault.Unauthenticated && v.Payload != nil {
				t.Error("a payload that nobody vouches for was given out")
			}
		})
	}
}

// pad sets bits of the signature's base64 that decoders pass over.
func pad(raw []byte) []byte {
	var e map[string]any
	_ = json.Unmarshal(raw, &e)
	sig := e["signatures"].([]any)[0].(map[string]any)["sig"].(string)
	at := strings.IndexByte(sig, '=') - 1
	for c := byte('A'); c <= 'z'; c++ {
		other := sig[:at] + string(c) + sig[at+1:]
		was, _ := base64.StdEncoding.DecodeString(sig)
		if is, err := base64.StdEncoding.DecodeString(other); err == nil && other != sig && bytes.Equal(was, is) {
			return bytes.Replace(raw, []byte(sig), []byte(other), 1)
		}
	}
	return raw
}

// changedContract is the same contract but for one fact, which no check of these proofs looks at.
func changedContract(t *testing.T) *contract.Contract {
	t.Helper()
	files := fstest.MapFS{}
	paths, err := filepath.Glob(filepath.Join("..", "..", "contract", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(path) == "auth.json" {
			raw = bytes.Replace(raw, []byte(`"max_entries": 2048`), []byte(`"max_entries": 2047`), 1)
		}
		files[filepath.Base(path)] = &fstest.MapFile{Data: raw, Mode: fs.ModePerm}
	}
	c, err := contract.LoadFS(files)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAnotherContractIsFlagged(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	raw := b.aiProof()
	v := b.verifier()
	v.Contract = changedContract(t)
	if v.Contract.Digest() == b.contract.Digest() {
		t.Fatal("the contract was not changed")
	}
	got, err := v.Verify(t.Context(), raw)
	if !errors.Is(err, fault.Inconclusive) || !strings.Contains(err.Error(), "made under contract "+b.contract.Digest()[:12]) || fault.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
	if got.Key.ID != b.signer.ID || got.Statement.Predicate.Check != "ai-binding" {
		t.Error("the signature is good, so what it says may be shown")
	}
	claimed := b.resign(raw, func(p string) string { return strings.ReplaceAll(p, b.contract.Digest(), v.Contract.Digest()) })
	if _, err := b.verify(claimed); !errors.Is(err, fault.Inconclusive) {
		t.Errorf("got %v", err)
	}
}

func TestNothingIsSignedThatDoesNotFollow(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	r, err := ai.Check().Run(t.Context(), b.target)
	if err != nil {
		t.Fatal(err)
	}
	r.Verdict = audit.Fail
	if _, err := evidence.Keep(t.Context(), b.dir, ai.Check(), b.target, b.origin(), r); !errors.Is(err, fault.Internal) || len(b.files()) != 0 {
		t.Errorf("got %v, kept %v", err, b.files())
	}
}

func FuzzVerify(f *testing.F) {
	b := newBed(f)
	good := b.aiProof()
	for _, seed := range [][]byte{good, good[:len(good)/2], []byte(`{}`), []byte(`{"payloadType":"application/vnd.in-toto+json","payload":"","signatures":[{"keyid":"","sig":""}]}`), nil} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := b.verify(raw); err == nil && !bytes.Equal(raw, good) {
			t.Errorf("verified, and never made: %q", raw)
		}
	})
}

// FuzzSigned fuzzes what a trusted key may have signed: nothing that was not derived is believed.
func FuzzSigned(f *testing.F) {
	b := newBed(f)
	var e struct{ Payload []byte }
	if err := json.Unmarshal(b.aiProof(), &e); err != nil {
		f.Fatal(err)
	}
	f.Add(e.Payload)
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://cognomega.com/cogctl/proof/v2"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		raw, err := evidence.Seal(t.Context(), b.signer, payload)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := b.verify(raw); err == nil && v.Statement.Predicate.Result.Verdict == audit.Pass && !bytes.Contains(payload, []byte(`ai_bound`)) {
			t.Errorf("passes without its data: %q", payload)
		}
	})
}
