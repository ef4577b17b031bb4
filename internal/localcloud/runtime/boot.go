package runtime

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cognomega/edge/internal/fault"
	"github.com/cognomega/edge/internal/localcloud/store"
)

// render writes a unit's configuration and puts the modules it embeds in place.
func (r *Runtime) render(world deployed, spec unitSpec, probe bool) (rendered, error) {
	env := &confEnv{paths: r.paths, store: r.cfg.Store, secret: r.back.secret, outbound: r.cfg.Outbound != nil}
	c, err := render(env, world, spec, probe)
	if err != nil {
		return rendered{}, err
	}
	for _, digest := range c.blobs {
		if err := r.placeBlob(digest); err != nil {
			return rendered{}, err
		}
	}
	return c, r.back.pools.ensure(c.pools)
}

// placeBlob makes a module readable by workerd, whose embed takes relative paths only.
func (r *Runtime) placeBlob(digest string) error {
	path := filepath.Join(r.paths.modules(), digest)
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	in, err := r.cfg.Store.OpenBlob(digest)
	if err != nil {
		return err
	}
	defer in.Close()
	tmp, err := os.CreateTemp(r.paths.modules(), "new-")
	if err != nil {
		return fault.New(fault.Internal, "write module: %w", err)
	}
	_, err = io.Copy(tmp, in)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fault.New(fault.Internal, "write module: %w", errors.Join(err, os.Remove(tmp.Name())))
	}
	return nil
}

// loadDeployed reads which versions serve.
func loadDeployed(s *store.Store) (deployed, error) {
	var change Change
	err := s.View(func(tx *store.Tx) error {
		scripts, err := store.All[store.Script](tx, store.Scripts, "")
		if err != nil {
			return err
		}
		for _, script := range scripts {
			if len(script.Deployments) == 0 {
				continue
			}
			for _, share := range script.Deployments[0].Versions {
				var v store.Version
				if err := tx.Get(store.Versions, script.Name+"/"+share.VersionID, &v); err != nil {
					return fault.New(fault.Internal, "version %s of script %s: %w", share.VersionID, script.Name, err)
				}
				change.Put = append(change.Put, Candidate{script, v})
			}
		}
		return nil
	})
	return deployed{}.with(change), err
}

// boot starts everything that is deployed. A script that does not start is left out, with its reason, so that the others serve.
func (r *Runtime) boot(ctx context.Context) error {
	world, err := loadDeployed(r.cfg.Store)
	if err != nil {
		return err
	}
	for {
		units, failed, err := r.bootUnits(ctx, world)
		if err == nil {
			r.mu.Lock()
			r.installLocked(world, units)
			r.mu.Unlock()
			r.relink(units)
			return nil
		}
		if failed == "" || ctx.Err() != nil {
			return err
		}
		r.cfg.Log.Error("script does not start and is left out", "script", failed, "err", err)
		r.broken[failed] = err
		delete(world, failed)
	}
}

// bootUnits starts every unit at the same time; after a failure it stops those that started and names the script at fault.
func (r *Runtime) bootUnits(ctx context.Context, world deployed) (units map[string]*unit, failed string, err error) {
	specs := layout(world)
	errs := make([]error, len(specs))
	started := make([]*unit, len(specs))
	var wg sync.WaitGroup
	for i, spec := range specs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c, err := r.render(world, spec, false)
			if err == nil {
				u := r.newUnit(c)
				if err = u.start(ctx); err == nil {
					started[i] = u
				}
			}
			errs[i] = err
		}()
	}
	wg.Wait()
	units = map[string]*unit{}
	for i, u := range started {
		if u != nil {
			units[specs[i].name] = u
		}
	}
	for i, err := range errs {
		if err != nil {
			for _, name := range sortedKeys(units) {
				units[name].retire(0)
			}
			return nil, culprit(err, specs[i]), err
		}
	}
	return units, "", nil
}

// culprit is the script that an error is about, when it says so or there is only one.
func culprit(err error, spec unitSpec) string {
	var start *StartError
	if errors.As(err, &start) && start.Script != "" {
		return start.Script
	}
	if len(spec.members) == 1 {
		return spec.members[0].Script.Name
	}
	for _, m := range spec.members {
		if strings.Contains(err.Error(), m.Script.Name) {
			return m.Script.Name
		}
	}
	return ""
}
