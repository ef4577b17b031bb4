package api

import (
	"context"
	"errors"

	"github.com/cognomega/edge/internal/localcloud/runtime"
)

// Workerd is the account's real runtime as the API uses it.
func Workerd(r *runtime.Runtime) Runtime { return workerd{r} }

type workerd struct{ *runtime.Runtime }

func (w workerd) Prepare(ctx context.Context, change Change) (Prepared, error) {
	next := runtime.Change{Delete: change.Delete}
	for _, c := range change.Put {
		next.Put = append(next.Put, runtime.Candidate(c))
	}
	p, err := w.Runtime.Prepare(ctx, next)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// notStarting answers a draft that does not start: in the runtime's own words, but for a Durable Object class that is not
// exported, which has numbers of its own.
func (d *draft) notStarting(err error) error {
	var start *runtime.StartError
	if errors.As(err, &start) && start.Script == d.script.Name {
		for _, class := range d.plan.classes {
			if start.Text == "no such Durable Object class is exported from the worker: "+class.Name {
				return d.plan.notExported(class.Name)
			}
		}
	}
	return notStarting(err)
}
