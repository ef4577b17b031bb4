package cfapi_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cognomega/edge/internal/cfapi"
	"github.com/cognomega/edge/internal/fault"
)

func TestAnalyticsAnswers(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)
	row := func(minute string) string {
		return `{"dimensions":{"datetimeMinute":"2026-11-22T` + minute + `:00Z"},"sum":{"requests":7,"errors":1},"quantiles":{"wallTimeP50":10,"wallTimeP90":20,"wallTimeP99":30}}`
	}
	for name, tt := range map[string]struct {
		body string
		want []cfapi.Minute
		kind fault.Kind
	}{
		"rows in any order": {`{"data":{"viewer":{"accounts":[{"workersInvocationsAdaptive":[` + row("18:01") + `,` + row("18:00") + `]}]}},"errors":null}`,
			[]cfapi.Minute{{At: at, Requests: 7, Errors: 1, P50US: 10, P90US: 20, P99US: 30}, {At: at.Add(time.Minute), Requests: 7, Errors: 1, P50US: 10, P90US: 20, P99US: 30}}, ""},
		"none":                {`{"data":{"viewer":{"accounts":[]}},"errors":null}`, []cfapi.Minute{}, ""},
		"a field it lacks":    {`{"data":null,"errors":[{"message":"unknown field \"wallTimeP90\""}]}`, nil, fault.Unsupported},
		"an account not ours": {`{"data":null,"errors":[{"message":"not authorized for that account"}]}`, nil, fault.Denied},
		"no JSON":             {`<html>`, nil, fault.Unavailable},
	} {
		b := newBed(t, map[string][]answer{"POST /graphql": {{status: 200, body: tt.body}}})
		got, err := b.Invocations(t.Context(), "w", at, at.Add(time.Hour))
		if diff := cmp.Diff(tt.want, got); diff != "" || tt.kind != "" && !errors.Is(err, tt.kind) || tt.kind == "" && err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}
