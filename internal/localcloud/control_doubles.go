package localcloud

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/doubles"
)

// maxPlanBytes is far more than a plan with every fault has.
const maxPlanBytes = 64 << 10

// controlDoubles serves what the providers' doubles are asked, and what an operator has them do wrong.
func (c *Cloud) controlDoubles(mux *http.ServeMux) {
	mux.HandleFunc("GET /doubles", func(w http.ResponseWriter, _ *http.Request) { reply(w, c.doubles.Status()) })
	mux.HandleFunc("PUT /doubles/{provider}", func(w http.ResponseWriter, r *http.Request) {
		var p doubles.Plan
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPlanBytes))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&p); err != nil {
			replyError(w, fault.New(fault.Invalid, "read the plan: %w", err))
			return
		}
		c.replan(w, r.PathValue("provider"), p)
	})
	mux.HandleFunc("POST /doubles/turnstile/responses", func(w http.ResponseWriter, r *http.Request) {
		var asked doubles.Challenge
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPlanBytes))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&asked); err != nil {
			replyError(w, fault.New(fault.Invalid, "read the challenge: %w", err))
			return
		}
		solved, err := c.doubles.Solve(asked)
		if err != nil {
			replyError(w, err)
			return
		}
		reply(w, solved)
	})
	mux.HandleFunc("DELETE /doubles/{provider}", func(w http.ResponseWriter, r *http.Request) {
		c.replan(w, r.PathValue("provider"), doubles.Plan{})
	})
}

func (c *Cloud) replan(w http.ResponseWriter, provider string, p doubles.Plan) {
	if err := c.doubles.Plan(provider, p); err != nil {
		replyError(w, err)
		return
	}
	reply(w, c.doubles.Status())
}

// replyError answers an error so that the caller can have it back whole.
func replyError(w http.ResponseWriter, err error) {
	var f *fault.Error
	if !errors.As(err, &f) {
		f = fault.New(fault.Internal, "%w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(fault.HTTPStatus(err))
	_ = json.NewEncoder(w).Encode(map[string]string{"error": string(f.Kind), "message": err.Error(), "hint": f.Hint})
}
