package cfapi

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/fault"
)

// Minute is what the analytics say of a Worker's invocations in one minute. The times are those inside the Worker: what the
// network adds is not in them.
type Minute struct {
	At       time.Time `json:"at"`
	Requests int64     `json:"requests"`
	Errors   int64     `json:"errors"` // invocations that did not end well; an answer of 5xx is none
	P50US    float64   `json:"wall_p50_us"`
	P90US    float64   `json:"wall_p90_us"`
	P99US    float64   `json:"wall_p99_us"`
}

// mostMinutes is the most rows that the analytics give at once.
const mostMinutes = 10_000

const invocationsQuery = `query ($account: String!, $script: String!, $from: Time!, $to: Time!) {
  viewer { accounts(filter: {accountTag: $account}) {
    workersInvocationsAdaptive(limit: 10000, filter: {scriptName: $script, datetime_geq: $from, datetime_lt: $to}) {
      dimensions { datetimeMinute } sum { requests errors } quantiles { wallTimeP50 wallTimeP90 wallTimeP99 }
    } } } }`

// Invocations reads a Worker's invocations by minute, oldest first. Quantiles are what Cloudflare made of each minute; they
// cannot be joined into one.
func (c *Client) Invocations(ctx context.Context, script string, from, to time.Time) ([]Minute, error) {
	doing := "read the analytics of Worker " + script
	body, err := json.Marshal(map[string]any{"query": invocationsQuery, "variables": map[string]string{
		"account": c.account, "script": script, "from": from.UTC().Format(time.RFC3339), "to": to.UTC().Format(time.RFC3339),
	}})
	if err != nil {
		return nil, fault.New(fault.Internal, "%s: %w", doing, err)
	}
	raw, err := c.raw(ctx, call{doing: doing, method: http.MethodPost, path: "/graphql", body: body, contentType: "application/json"})
	if err != nil {
		return nil, err
	}
	return parseInvocations(doing, raw.Body)
}

func parseInvocations(doing string, body []byte) ([]Minute, error) {
	var answer struct {
		Errors []struct {
			Message string `json:"message"`
		} `json:"errors"`
		Data struct {
			Viewer struct {
				Accounts []struct {
					Rows []struct {
						Dimensions struct {
							Minute time.Time `json:"datetimeMinute"`
						} `json:"dimensions"`
						Sum struct {
							Requests int64 `json:"requests"`
							Errors   int64 `json:"errors"`
						} `json:"sum"`
						Quantiles struct {
							P50 float64 `json:"wallTimeP50"`
							P90 float64 `json:"wallTimeP90"`
							P99 float64 `json:"wallTimeP99"`
						} `json:"quantiles"`
					} `json:"workersInvocationsAdaptive"`
				} `json:"accounts"`
			} `json:"viewer"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fault.New(fault.Unavailable, "%s: the answer is not of the documented shape: %w", doing, err)
	}
	if len(answer.Errors) > 0 {
		message := answer.Errors[0].Message
		if strings.Contains(message, "unknown field") {
			return nil, fault.New(fault.Unsupported, "%s: the analytics of this account do not have what is asked for: %s", doing, message)
		}
		return nil, fault.New(fault.Denied, "%s: Cloudflare says %s", doing, message).WithHint("the token needs '%s'", Permission(http.MethodGet, "/graphql"))
	}
	minutes := []Minute{}
	for _, a := range answer.Data.Viewer.Accounts {
		for _, r := range a.Rows {
			minutes = append(minutes, Minute{r.Dimensions.Minute.UTC(), r.Sum.Requests, r.Sum.Errors, r.Quantiles.P50, r.Quantiles.P90, r.Quantiles.P99})
		}
	}
	if len(minutes) >= mostMinutes {
		return nil, fault.New(fault.TooLarge, "%s: the window holds more than is given at once", doing).WithHint("ask for a shorter one")
	}
	slices.SortFunc(minutes, func(a, b Minute) int { return cmp.Compare(a.At.Unix(), b.At.Unix()) })
	return minutes, nil
}
