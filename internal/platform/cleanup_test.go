package platform_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"
)

// 100,000 old entries go in calls that each stay within what a Worker may do, and what is young stays.
func TestCleanupOfManyKeys(t *testing.T) {
	t.Parallel()
	m := newMoney(t)
	const maxSafe, entries, young = 1<<53 - 1, 100_000, 10
	rev := func(age time.Duration, n int) string {
		return strconv.FormatInt(maxSafe-time.Now().Add(-age).UnixMilli()-int64(n), 36)
	}
	for from := 0; from < entries; from += 10_000 {
		pairs := make([]map[string]string, 10_000)
		for i := range pairs {
			n := from + i
			pairs[i] = map[string]string{"key": fmt.Sprintf("usage:u%d@example.test:%s:%d", n%50, rev(40*24*time.Hour, n), n), "value": "{}"}
		}
		if from == 0 {
			for i := range young {
				pairs[i]["key"] = fmt.Sprintf("usage:u0@example.test:%s:young-%d", rev(24*time.Hour, i), i)
			}
		}
		body, err := json.Marshal(pairs)
		if err != nil {
			t.Fatal(err)
		}
		m.api("PUT", "/accounts/"+m.endpoints().AccountID+"/storage/kv/namespaces/"+m.kv+"/bulk", string(body))
	}
	var deleted, calls int
	for cursor := ""; ; calls++ {
		var a struct {
			Deleted int
			Next    *string `json:"next_cursor"`
		}
		if code := m.call("POST", "/api/admin/cleanup", fmt.Sprintf(`{"kind":"usage","limit":5000,"cursor":%s}`, quoted(cursor)), m.operator(), &a); code != http.StatusOK {
			t.Fatalf("call %d: %d", calls, code)
		}
		deleted += a.Deleted
		if a.Next == nil {
			break
		}
		cursor = *a.Next
	}
	if deleted != entries-young || calls > 150 {
		t.Errorf("%d deleted in %d calls", deleted, calls)
	}
	var left struct{ Scanned, Kept int }
	m.call("POST", "/api/admin/cleanup", `{"dry_run":true}`, m.operator(), &left)
	if left.Scanned != young || left.Kept != young {
		t.Errorf("left: %+v", left)
	}
}

// quoted is a JSON string, or null for none.
func quoted(text string) string {
	if text == "" {
		return "null"
	}
	raw, _ := json.Marshal(text)
	return string(raw)
}
