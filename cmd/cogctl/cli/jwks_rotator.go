package cli

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/cognomega/edge/internal/rotation"
	"github.com/cognomega/edge/internal/term"
)

// waitOptions are the flags of commands that wait.
type waitOptions struct {
	noWait                bool
	signAfter, leaveAfter time.Duration
}

// rotator makes what takes the steps, and says on stderr how far it is.
func (d *Deps) rotator(ctx context.Context, o waitOptions) (*rotation.Rotator, *stepLog, error) {
	t, err := d.Target(ctx, d.Env)
	if err != nil {
		return nil, nil, err
	}
	log := &stepLog{d: d}
	r, err := rotation.New(rotation.Config{
		Contract: t.Contract, Account: t.API, Edge: jwksEdge{d, t}, Owner: owner(), Local: d.Env == localEnv,
		Sleep: log.sleep, NewKey: rotation.NewKey, Now: d.Now, Say: log.say, SignAfter: o.signAfter, LeaveAfter: o.leaveAfter,
	})
	return r, log, err
}

// owner is who does it, as another operator would look for them.
func owner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	if u, err := user.Current(); err == nil {
		return u.Username + "@" + host
	}
	return host
}

// stepLog shows steps as lines and waits as the one line that moves.
type stepLog struct {
	d    *Deps
	line *term.Progress
	now  rotation.Progress
	told bool
}

func (l *stepLog) say(p rotation.Progress) {
	if p.Step {
		l.stop()
		fmt.Fprintln(l.d.Term.Err(), "✓ "+p.What)
		return
	}
	l.now = p
	if l.line == nil {
		if !l.told {
			l.told = true
			fmt.Fprintln(l.d.Term.Err(), "(Ctrl-C is safe: `cogctl jwks resume`)")
		}
		l.line = l.d.Term.Progress(l.words())
	}
	l.line.Set(l.words(), 0, 0)
}

func (l *stepLog) words() string {
	text := l.now.What
	if l.now.Left > 0 {
		text += " · " + rough(l.now.Left) + " left"
	}
	if l.now.Probes > 1 {
		text += fmt.Sprintf(" · key set whole in %d of %d probes", l.now.Seen, l.now.Probes)
	}
	return text + " · waited"
}

// sleep waits in seconds, so that the line counts down.
func (l *stepLog) sleep(ctx context.Context, d time.Duration) error {
	for d > 0 {
		nap := min(d, time.Second)
		if err := l.d.Sleep(ctx, nap); err != nil {
			return err
		}
		d -= nap
		if l.now.Left = max(0, l.now.Left-nap); l.line != nil {
			l.line.Set(l.words(), 0, 0)
		}
	}
	return nil
}

func (l *stepLog) stop() {
	if l.line != nil {
		l.line.Stop()
		l.line = nil
	}
}

// rough is a duration as people say it: seconds below an hour, minutes above.
func rough(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
}
