package runlog

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// How often progress is shown: often enough to look alive, seldom enough to cost nothing.
const (
	redrawEvery = 100 * time.Millisecond // on a terminal
	lineEvery   = 5 * time.Second        // elsewhere
)

// display shows lines of progress. On a terminal the line of the moment is redrawn in place; elsewhere lines follow
// one another, with seconds between them.
type display struct {
	out      io.Writer
	terminal bool
	width    func() int // columns of the terminal
	now      func() time.Time

	shown     time.Time // when a line of the moment was last shown
	unsettled bool      // the cursor stands at the end of a line that will be redrawn
}

// newDisplay shows on out, or on standard error if out is nil; quiet shows nothing.
func newDisplay(out io.Writer, quiet bool) *display {
	if out == nil {
		out = os.Stderr
	}
	if quiet {
		out = io.Discard
	}
	d := &display{out: out, now: time.Now}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		d.terminal = true
		d.width = func() int {
			if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
				return w
			}
			return 80
		}
	}
	return d
}

// due tells whether it is time to show another line of the moment.
func (d *display) due() bool {
	every := lineEvery
	if d.terminal {
		every = redrawEvery
	}
	return d.shown.IsZero() || d.now().Sub(d.shown) >= every
}

// moment shows the line of the moment. fraction is how much is done; it is drawn where there is room.
func (d *display) moment(line string, fraction float64) {
	d.shown = d.now()
	if !d.terminal {
		fmt.Fprintln(d.out, line)
		return
	}
	// The last column stays free: some terminals wrap as soon as it is written.
	room := d.width() - 1
	if bar := room - utf8.RuneCountInString(line) - 3; bar >= 10 {
		bar = min(bar, 30)
		line = drawBar(fraction, bar) + "  " + line
	}
	if utf8.RuneCountInString(line) > room {
		line = string([]rune(line)[:max(0, room-1)]) + "…"
	}
	fmt.Fprintf(d.out, "\r%s\x1b[K", line)
	d.unsettled = true
}

// settle keeps the line of the moment on the screen.
func (d *display) settle() {
	if d.unsettled {
		fmt.Fprintln(d.out)
		d.unsettled = false
	}
}

// lasting shows a line that stays.
func (d *display) lasting(line string) {
	if d.unsettled {
		fmt.Fprint(d.out, "\r\x1b[K")
		d.unsettled = false
	}
	fmt.Fprintln(d.out, line)
}

func drawBar(fraction float64, width int) string {
	full := int(min(max(fraction, 0), 1)*float64(width) + 0.5)
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}

// pace tells how long the rest takes, from the time since the first report: what came before it (loading, compiling)
// says nothing about the rest.
type pace struct {
	started   bool
	firstDone int
	firstTime time.Time
}

// eta returns the time left, or false while it cannot be known.
func (p *pace) eta(done, total int, now time.Time) (time.Duration, bool) {
	if !p.started {
		p.started, p.firstDone, p.firstTime = true, done, now
		return 0, false
	}
	elapsed := now.Sub(p.firstTime)
	if done <= p.firstDone || total < done || elapsed <= 0 {
		return 0, false
	}
	return time.Duration(float64(elapsed) / float64(done-p.firstDone) * float64(total-done)), true
}

// rate is the parts a second since the first report, 0 while it cannot be known.
func (p *pace) rate(done int, now time.Time) float64 {
	elapsed := now.Sub(p.firstTime).Seconds()
	if !p.started || done <= p.firstDone || elapsed <= 0 {
		return 0
	}
	return float64(done-p.firstDone) / elapsed
}

// formatDuration writes 7s, 1m20s or 2h05m.
func formatDuration(d time.Duration) string {
	seconds := int(d.Seconds() + 0.5)
	switch {
	case seconds < 60:
		return fmt.Sprintf("%ds", seconds)
	case seconds < 3600:
		return fmt.Sprintf("%dm%02ds", seconds/60, seconds%60)
	}
	return fmt.Sprintf("%dh%02dm", seconds/3600, seconds%3600/60)
}

// Bar is the progress of one piece of long work. Its methods may be called from several goroutines; a nil Bar shows
// nothing.
type Bar struct {
	mu      sync.Mutex
	display *display
	name    string
	done    int
	total   int
	pace    pace
	begun   time.Time
	ended   bool
	rated   bool // show parts a second
}

// Progress starts showing the progress of work with the given number of parts on standard error; 0 if the number is
// not known yet. End the bar with [Bar.Done].
func Progress(name string, total int) *Bar { return newBar(newDisplay(nil, false), name, total) }

func newBar(d *display, name string, total int) *Bar {
	b := &Bar{display: d, name: name, total: total, begun: d.now()}
	b.pace.eta(0, total, b.begun)
	return b
}

// Update says that done of total parts are done. It has the signature of the progress functions of other packages.
func (b *Bar) Update(done, total int) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done, b.total = done, total
	b.show()
}

// Start says that done of total parts were done before the work that is measured now: of a run that goes on, or
// before models were loaded. Rate and time left count from here.
func (b *Bar) Start(done, total int) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done, b.total, b.rated = done, total, true
	b.pace = pace{}
	b.pace.eta(done, total, b.display.now())
}

// Add says that n more parts are done.
func (b *Bar) Add(n int) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done += n
	b.show()
}

func (b *Bar) show() {
	if b.ended || !b.display.due() {
		return
	}
	line := fmt.Sprintf("%s  %d", b.name, b.done)
	fraction := 0.0
	if b.total > 0 {
		line += fmt.Sprintf("/%d", b.total)
		fraction = float64(b.done) / float64(b.total)
	}
	if rate := b.pace.rate(b.done, b.display.now()); b.rated && rate > 0 {
		line += fmt.Sprintf("  %.3g/s", rate)
	}
	if left, ok := b.pace.eta(b.done, b.total, b.display.now()); ok {
		line += "  ETA " + formatDuration(left)
	}
	b.display.moment(line, fraction)
}

// Stop ends the bar where it stands, for work that was broken off.
func (b *Bar) Stop() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.display.settle()
}

// Done ends the bar with a line that says how long the work took.
func (b *Bar) Done() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return
	}
	b.ended = true
	b.display.lasting(fmt.Sprintf("%s  %d done in %s", b.name, b.done, formatDuration(b.display.now().Sub(b.begun))))
}
