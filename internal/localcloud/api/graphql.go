package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/cognomega/edge/internal/localcloud/store"
)

func (s *server) graphql() []endpoint {
	return []endpoint{{method: "POST", pattern: "/graphql", permission: reads(groupAnalytics), handle: s.query}}
}

// maxRows is the most rows one GraphQL list gives.
const maxRows = 10_000

// queryError is a refusal in GraphQL's own shape: status 200, no data, and where in the query the trouble is.
type queryError struct {
	message string
	path    []string
}

func (e *queryError) Error() string { return e.message }

func unknownField(f field, path []string) error {
	return &queryError{fmt.Sprintf("unknown field %q", f.name), path}
}

func (s *server) query(c *call) (any, error) {
	var req struct {
		Query     string         `json:"query"`
		Variables map[string]any `json:"variables"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	answer := map[string]any{"errors": nil}
	fields, err := parseQuery(req.Query, req.Variables)
	if err == nil {
		answer["data"], err = s.execute(fields)
	}
	if err != nil {
		var e *queryError
		if !errors.As(err, &e) {
			return nil, err
		}
		answer["data"] = nil
		answer["errors"] = []map[string]any{{"message": e.message, "path": e.path, "extensions": map[string]any{"timestamp": s.now()}}}
	}
	body, err := json.Marshal(answer)
	return raw{http.Header{"Content-Type": {"application/json"}}, body}, err
}

// execute answers viewer { accounts(filter: {accountTag}) { ... } }, the only root the analytics have.
func (s *server) execute(fields []field) (any, error) {
	data := map[string]any{}
	for _, viewer := range fields {
		if viewer.name != "viewer" {
			return nil, unknownField(viewer, []string{viewer.name})
		}
		accounts := map[string]any{}
		for _, f := range viewer.fields {
			if f.name != "accounts" {
				return nil, unknownField(f, []string{"viewer", f.name})
			}
			list, err := s.queryAccount(f)
			if err != nil {
				return nil, err
			}
			accounts[f.alias] = list
		}
		data[viewer.alias] = accounts
	}
	return data, nil
}

func (s *server) queryAccount(f field) (any, error) {
	if tag, _ := f.filter()["accountTag"].(string); !strings.EqualFold(tag, s.AccountID) {
		return nil, &queryError{"not authorized for that account", []string{"viewer", "accounts"}}
	}
	account := map[string]any{}
	for _, dataset := range f.fields {
		path := []string{"viewer", "accounts", "0", dataset.alias}
		var rows []map[string]any
		var err error
		switch dataset.name {
		case "workersInvocationsAdaptive":
			rows, err = s.invocations(dataset, path)
		case "queueBacklogAdaptiveGroups":
			rows, err = s.backlogRows(dataset, path)
		default:
			err = unknownField(dataset, path)
		}
		if err != nil {
			return nil, err
		}
		account[dataset.alias] = rows
	}
	return []any{account}, nil
}

func (s *server) invocations(f field, path []string) ([]map[string]any, error) {
	filter, err := invocationFilter(f, path)
	if err != nil {
		return nil, err
	}
	rows := []map[string]any{}
	for _, a := range s.Store.Metrics().Query(filter) {
		row := map[string]any{}
		for _, group := range f.fields {
			if row[group.alias], err = invocationGroup(group, a, path); err != nil {
				return nil, err
			}
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		// A query without rows must still refuse fields that are not there.
		for _, group := range f.fields {
			if _, err := invocationGroup(group, store.Aggregate{}, path); err != nil {
				return nil, err
			}
		}
	}
	return rows, nil
}

// invocationFilter keeps apart only what the query asks to see, as Cloudflare's groups do.
func invocationFilter(f field, path []string) (store.Filter, error) {
	out := store.Filter{Limit: f.limit()}
	for key, value := range f.filter() {
		text, ok := value.(string)
		var err error
		switch {
		case !ok:
			err = &queryError{fmt.Sprintf("error parsing args: filter %s must be a string", key), path}
		case key == "scriptName":
			out.Script = text
		case key == "status":
			out.Status = text
		case key == "scriptVersion":
			out.Version = text
		case key == "datetime_geq" || key == "datetime_gt":
			out.From, err = queryTime(text, path)
		case key == "datetime_leq" || key == "datetime_lt":
			out.To, err = queryTime(text, path)
		default:
			err = &queryError{fmt.Sprintf("unknown arg %q", key), path}
		}
		if err != nil {
			return out, err
		}
	}
	for _, group := range f.fields {
		for _, d := range group.fields {
			out.By |= map[string]store.Dimension{"scriptName": store.ByScript, "status": store.ByStatus, "scriptVersion": store.ByVersion,
				"datetime": store.ByMinute, "datetimeMinute": store.ByMinute, "datetimeHour": store.ByHour}[d.name]
		}
	}
	if out.By == 0 {
		out.By = store.ByScript // 0 would mean every dimension
	}
	return out, nil
}

func queryTime(text string, path []string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, &queryError{fmt.Sprintf("error parsing args: %q is not a time", text), path}
	}
	return at, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func invocationGroup(group field, a store.Aggregate, path []string) (map[string]any, error) {
	// The edge measures one duration: what Cloudflare splits into wall time and request duration is one here.
	all := map[string]map[string]any{
		"sum": {"requests": a.Requests, "errors": a.Errors, "subrequests": a.Subrequests, "cpuTimeUs": micros(a.CPU.Sum()), "wallTime": micros(a.Wall.Sum())},
		"dimensions": {"scriptName": a.Script, "status": a.Status, "scriptVersion": a.Version, "datetime": a.At, "datetimeMinute": a.At,
			"datetimeHour": a.At.Truncate(time.Hour)},
		"quantiles": {},
	}
	for name, q := range map[string]float64{"P25": 0.25, "P50": 0.5, "P75": 0.75, "P90": 0.9, "P95": 0.95, "P99": 0.99, "P999": 0.999} {
		all["quantiles"]["cpuTime"+name] = micros(a.CPU.Quantile(q))
		all["quantiles"]["wallTime"+name] = micros(a.Wall.Quantile(q))
		all["quantiles"]["requestDuration"+name] = micros(a.Wall.Quantile(q))
	}
	return pick(group, all[group.name], path)
}

// pick gives the selected values of a group, and an error for one that is not there.
func pick(group field, values map[string]any, path []string) (map[string]any, error) {
	path = append(path[:len(path):len(path)], group.alias)
	if values == nil {
		return nil, unknownField(group, path)
	}
	out := map[string]any{}
	for _, f := range group.fields {
		value, ok := values[f.name]
		if !ok {
			return nil, unknownField(f, append(path, f.alias))
		}
		out[f.alias] = value
	}
	return out, nil
}

func (s *server) backlogRows(f field, path []string) ([]map[string]any, error) {
	id, _ := f.filter()["queueId"].(string)
	if id == "" {
		return nil, &queryError{"error parsing args: filter queueId is required", path}
	}
	var values map[string]any
	if _, err := read[store.Queue](s, store.Queues, id); err == nil {
		m, err := s.backlog(id)
		if err != nil {
			return nil, err
		}
		values = map[string]any{"messages": m.Count, "bytes": m.Bytes}
	} else if !isMissing(err) {
		return nil, err
	}
	row := map[string]any{}
	for _, group := range f.fields {
		all := map[string]map[string]any{"avg": {"messages": 0, "bytes": 0}, "dimensions": {"queueId": id}}
		if group.name == "avg" && values != nil {
			all["avg"] = values
		}
		var err error
		if row[group.alias], err = pick(group, all[group.name], path); err != nil {
			return nil, err
		}
	}
	if values == nil {
		return []map[string]any{}, nil
	}
	return []map[string]any{row}, nil
}
