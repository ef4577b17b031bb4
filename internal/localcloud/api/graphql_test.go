package api_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cognomega/edge/internal/localcloud/api/apitest"
	"github.com/cognomega/edge/internal/localcloud/store"
)

func ask(t *testing.T, b *apitest.Bed, query string, variables object) (data json.RawMessage, errors string) {
	t.Helper()
	a := b.Call(t, "POST", "/graphql", object{"query": query, "variables": variables})
	if a.Status != 200 {
		t.Fatalf("graphql: %d %s", a.Status, a.Body)
	}
	var answer struct {
		Data   json.RawMessage `json:"data"`
		Errors []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(a.Body, &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Errors) > 0 {
		errors = answer.Errors[0].Message
	}
	return answer.Data, errors
}

const invocations = `query Speed($accountTag: string!, $from: Time, $to: Time) {
  viewer {
    accounts(filter: {accountTag: $accountTag}) {
      workersInvocationsAdaptive(limit: 100, filter: {scriptName: "gateway", datetime_geq: $from, datetime_leq: $to}) {
        sum { requests errors subrequests }
        quantiles { cpuTimeP50 p99: wallTimeP99 requestDurationP90 }
        dimensions { scriptName status }
      }
    }
  }
}`

func TestInvocations(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	at := time.Now()
	for range 10 {
		b.Store.Metrics().Record(store.Invocation{Script: "gateway", Status: "success", At: at, Wall: 20 * time.Millisecond, CPU: time.Millisecond, HTTPStatus: 200, Subrequests: 2})
	}
	b.Store.Metrics().Record(store.Invocation{Script: "gateway", Status: "scriptThrewException", At: at, Wall: time.Millisecond, HTTPStatus: 500})
	b.Store.Metrics().Record(store.Invocation{Script: "other", Status: "success", At: at})
	variables := object{"accountTag": apitest.AccountID, "from": at.Add(-time.Hour).Format(time.RFC3339), "to": at.Add(time.Hour).Format(time.RFC3339)}
	data, errors := ask(t, b, invocations, variables)
	var got struct {
		Viewer struct {
			Accounts []struct {
				Rows []struct {
					Sum        struct{ Requests, Errors, Subrequests int }
					Quantiles  map[string]float64
					Dimensions struct{ ScriptName, Status string }
				} `json:"workersInvocationsAdaptive"`
			}
		}
	}
	if err := json.Unmarshal(data, &got); err != nil || errors != "" || len(got.Viewer.Accounts) != 1 {
		t.Fatalf("data %s, errors %q, %v", data, errors, err)
	}
	requests := map[string]int{}
	for _, row := range got.Viewer.Accounts[0].Rows {
		requests[row.Dimensions.ScriptName+" "+row.Dimensions.Status] += row.Sum.Requests
		if row.Dimensions.Status == "success" && (row.Quantiles["p99"] < 19_000 || row.Quantiles["p99"] > 21_000 || row.Sum.Subrequests != 20) {
			t.Errorf("row %+v: want a p99 of 20,000 µs and 20 subrequests", row)
		}
	}
	if len(requests) != 2 || requests["gateway success"] != 10 || requests["gateway scriptThrewException"] != 1 {
		t.Errorf("requests %v", requests)
	}
}

func TestGraphQLRefusals(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	account := func(inside string) string {
		return `{ viewer { accounts(filter: {accountTag: "` + apitest.AccountID + `"}) { ` + inside + ` } } }`
	}
	tests := map[string]struct{ query, want string }{
		"unknown root":     {`{ nobody { x } }`, `unknown field "nobody"`},
		"unknown dataset":  {account(`nothingAdaptive { sum { x } }`), `unknown field "nothingAdaptive"`},
		"unknown group":    {account(`workersInvocationsAdaptive { means { x } }`), `unknown field "means"`},
		"unknown field":    {account(`workersInvocationsAdaptive { sum { duration } }`), `unknown field "duration"`},
		"unknown filter":   {account(`workersInvocationsAdaptive(filter: {colour: "red"}) { sum { requests } }`), `unknown arg "colour"`},
		"bad time":         {account(`workersInvocationsAdaptive(filter: {datetime_geq: "now"}) { sum { requests } }`), `is not a time`},
		"other account":    {`{ viewer { accounts(filter: {accountTag: "x"}) { workersInvocationsAdaptive { sum { requests } } } } }`, `not authorized`},
		"no end":           {`{ viewer { accounts`, `error parsing query`},
		"nothing":          {``, `error parsing query`},
		"too deep":         {strings.Repeat("{ a ", 100), `nested deeper`},
		"backlog of which": {account(`queueBacklogAdaptiveGroups { avg { messages } }`), `queueId is required`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			data, errors := ask(t, b, test.query, nil)
			if string(data) != "null" || !strings.Contains(errors, test.want) {
				t.Errorf("data %s, error %q, want %q", data, errors, test.want)
			}
		})
	}
}

func TestQueueBacklog(t *testing.T) {
	t.Parallel()
	b := apitest.New(t)
	q := strings.TrimPrefix(newQueue(t, b, "jobs"), "/queues/")
	if err := b.Store.Queues().Send(q, []store.Message{{Body: []byte("four"), ContentType: "text"}}); err != nil {
		t.Fatal(err)
	}
	data, errors := ask(t, b, `query($a: string, $q: string) { viewer { accounts(filter: {accountTag: $a}) { queueBacklogAdaptiveGroups(filter: {queueId: $q}) { avg { messages bytes } } } } }`,
		object{"a": apitest.AccountID, "q": q})
	if errors != "" || string(data) != `{"viewer":{"accounts":[{"queueBacklogAdaptiveGroups":[{"avg":{"bytes":4,"messages":1}}]}]}}` {
		t.Errorf("data %s, errors %q", data, errors)
	}
}
