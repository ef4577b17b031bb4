package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// agree compares the copy of every balance until all are right, or their time is over.
func agree(ctx context.Context, conn *pgx.Conn, dir string, within time.Duration, v *verdict) error {
	a, err := openAccount(ctx, dir)
	if err != nil {
		return err
	}
	for {
		want, err := balances(ctx, conn)
		if err != nil {
			return err
		}
		asked := time.Now()
		differ, err := a.differing(ctx, want)
		if err != nil {
			return err
		}
		v.AgreedAfter = asked.Sub(v.LastWrite).Seconds()
		if len(differ) == 0 {
			if v.AgreedAfter > within.Seconds() {
				// Only what is seen counts: a ledger that took long to be looked at is looked at again by nobody.
				v.wrongf("KV was seen to agree %.1f s after the last write, want %.0f", v.AgreedAfter, within.Seconds())
			}
			return nil
		}
		if v.AgreedAfter > within.Seconds() {
			v.wrongf("%d copies in KV differ %.1f s after the last write, such as %s", len(differ), v.AgreedAfter, differ[0])
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// balances are what the ledger has of the accounts, in micro-credits.
func balances(ctx context.Context, conn *pgx.Conn) (map[string]int64, error) {
	rows, err := conn.Query(ctx, `SELECT a.ref, b.credits - b.debits FROM ledger.account a JOIN ledger.balance b ON b.account_id = a.id
		WHERE a.ref IN (SELECT account FROM sent)`)
	if err != nil {
		return nil, err
	}
	want := map[string]int64{}
	var ref string
	var micro int64
	_, err = pgx.ForEachRow(rows, []any{&ref, &micro}, func() error {
		want[ref] = micro
		return nil
	})
	return want, err
}

// account is the Cloudflare account, as its API shows it.
type account struct{ base, token, namespace string }

func openAccount(ctx context.Context, dir string) (account, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "endpoints.json"))
	if err != nil {
		return account{}, err
	}
	var e map[string]any
	if err := json.Unmarshal(raw, &e); err != nil {
		return account{}, err
	}
	token, err := os.ReadFile(fmt.Sprint(e["token_file"]))
	if err != nil {
		return account{}, err
	}
	a := account{base: fmt.Sprintf("%s/accounts/%s/storage/kv/namespaces", e["api_http"], e["account_id"]), token: strings.TrimSpace(string(token))}
	body, err := a.get(ctx, "?per_page=100")
	if err != nil {
		return a, err
	}
	var list struct {
		Result []struct{ ID, Title string }
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return a, err
	}
	for _, n := range list.Result {
		if n.Title == "cognomega-billing" {
			a.namespace = n.ID
			return a, nil
		}
	}
	return a, errors.New("the account has no namespace cognomega-billing")
}

// differing names the accounts whose copy is missing or says something else.
func (a account) differing(ctx context.Context, want map[string]int64) ([]string, error) {
	found := make(chan string, len(want))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for ref, micro := range want {
		g.Go(func() error {
			body, err := a.get(ctx, "/"+a.namespace+"/values/"+url.PathEscape("balance:"+ref))
			if errors.Is(err, errMissing) {
				found <- ref + ": no copy"
				return nil
			}
			if err != nil {
				return err
			}
			var copied struct {
				Credits *float64 `json:"balance_credits"`
			}
			if err := json.Unmarshal(body, &copied); err != nil || copied.Credits == nil || int64(math.Round(*copied.Credits*1e6)) != micro {
				found <- fmt.Sprintf("%s: %.80s, the ledger has %d micro-credits", ref, body, micro)
			}
			return nil
		})
	}
	err := g.Wait()
	close(found)
	var differ []string
	for f := range found {
		differ = append(differ, f)
	}
	return differ, err
}

var errMissing = errors.New("not there")

func (a account) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if res.StatusCode == http.StatusNotFound {
		return nil, errMissing
	}
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", path, res.Status)
	}
	return body, err
}
