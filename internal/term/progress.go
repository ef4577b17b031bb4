package term

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	movesEvery = 100 * time.Millisecond // on a TTY
	saysEvery  = 10 * time.Second       // elsewhere: a line for the log
	barWidth   = 20
)

// Progress is one line on stderr that says what is being waited for. On a TTY it moves; elsewhere it is a line every ten
// seconds, so short work says nothing. Its methods are safe for concurrent use.
type Progress struct {
	t     *Term
	mu    sync.Mutex
	what  string
	done  int
	total int
	began time.Time
	said  time.Time
	frame int
	stop  func()
	quit  chan struct{}
	ended sync.WaitGroup
}

// Progress starts a line. Stop must be called before anything else is written.
func (t *Term) Progress(what string) *Progress {
	p := &Progress{t: t, what: what, began: t.now(), said: t.now(), quit: make(chan struct{})}
	ticks, stop := t.ticker(movesEvery)
	p.stop = stop
	p.ended.Add(1)
	go func() {
		defer p.ended.Done()
		for {
			select {
			case <-p.quit:
				return
			case now := <-ticks:
				p.tick(now)
			}
		}
	}()
	return p
}

// Set changes what the line says. A total of 0 means that the end is not known.
func (p *Progress) Set(what string, done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what, p.done, p.total = what, done, total
}

// Stop removes the line; calling it again does nothing.
func (p *Progress) Stop() {
	p.mu.Lock()
	stop := p.stop
	p.stop = nil
	p.mu.Unlock()
	if stop == nil {
		return
	}
	stop()
	close(p.quit)
	p.ended.Wait()
	if p.frame > 0 && p.t.errTTY {
		fmt.Fprint(p.t.err, "\r\x1b[K")
	}
}

func (p *Progress) tick(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.t.errMu.Lock()
	defer p.t.errMu.Unlock()
	if !p.t.errTTY {
		if now.Sub(p.said) >= saysEvery {
			p.said = now
			fmt.Fprintf(p.t.err, "%s (%s)\n", p.words(), elapsed(now.Sub(p.began)))
		}
		return
	}
	c := canvas{r: p.t.renderer(true)}
	spinner := []rune("◐◓◑◒")
	line := fmt.Sprintf("%c %s  %s", spinner[p.frame%len(spinner)], p.words(), elapsed(now.Sub(p.began)))
	p.frame++
	fmt.Fprint(p.t.err, "\r"+paint(c.r, DimText(fit(line, p.t.width)))+"\x1b[K")
}

func (p *Progress) words() string {
	if p.total == 0 {
		return p.what
	}
	if !p.t.errTTY {
		return fmt.Sprintf("%s %d/%d", p.what, p.done, p.total)
	}
	full := barWidth * min(p.done, p.total) / p.total
	return fmt.Sprintf("%s %s%s %d/%d", p.what, strings.Repeat("█", full), strings.Repeat("░", barWidth-full), p.done, p.total)
}

// fit cuts a line so that the terminal does not wrap it: a wrapped line cannot be written over.
func fit(line string, width int) string {
	runes := []rune(line)
	if width <= 1 || len(runes) < width {
		return line
	}
	return string(runes[:width-2]) + "…"
}

func elapsed(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.0fs", d.Seconds())
	}
	return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
}
