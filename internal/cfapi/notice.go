package cfapi

import (
	"context"
	"time"
)

// Waiting is told before a call that was refused is repeated.
type Waiting func(wait time.Duration, because error)

type waitingKey struct{}

// WithWaiting is a context whose calls tell when they wait for the API, so that people see why nothing moves. Calls run
// concurrently, so f must be safe for that.
func WithWaiting(ctx context.Context, f Waiting) context.Context {
	return context.WithValue(ctx, waitingKey{}, f)
}

// noticeable is the shortest wait that is worth a word.
const noticeable = time.Second

func tellWaiting(ctx context.Context, wait time.Duration, because error) {
	if f, ok := ctx.Value(waitingKey{}).(Waiting); ok && wait >= noticeable {
		f(wait, because)
	}
}
