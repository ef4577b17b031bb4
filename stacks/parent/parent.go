// Package parent ends a program with the process that started it.
package parent

import (
	"context"
	"os"
	"time"
)

// While is ctx, cancelled when the process that started this one is gone: an engine that was killed must not leave its plugins behind.
func While(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	parent := os.Getppid()
	go func() {
		defer cancel()
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for os.Getppid() == parent {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return ctx
}
