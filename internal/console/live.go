package console

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// redraw is the minimum time between two redraws.
const redraw = 100 * time.Millisecond

// A Live redraws a view of the rollout in a terminal. It only writes: it reads
// no keys, handles no signals and does not change the terminal's modes, so a
// killed process leaves nothing to restore. The last view stays.
type Live struct {
	out   io.Writer
	width func() int
	m     model
	drawn time.Time
	rows  int // of the view on the screen
	cols  int // width at the last redraw
}

// NewLive returns a Live for a terminal of the given width, which may change.
func NewLive(out io.Writer, width func() int, color bool) *Live {
	return &Live{out: out, width: width, m: newModel(color)}
}

// Observe implements Observer.
func (l *Live) Observe(e Event) {
	l.m = l.m.apply(e)
	quiet := e.Kind == KindTick || e.Kind == KindState
	if quiet && l.m.now.Sub(l.drawn) < redraw {
		return
	}
	l.draw()
}

// End implements Observer.
func (l *Live) End() {
	l.m.ended = true
	l.draw()
}

// draw replaces the view in one write, so it does not flicker.
func (l *Live) draw() {
	width := l.width()
	if width <= 0 {
		width = 80
	}
	view := render(l.m, width)
	var b strings.Builder
	if l.rows > 0 {
		// A terminal that became narrower has wrapped the old rows.
		up := l.rows
		if width < l.cols {
			up *= (l.cols + width - 1) / width
		}
		fmt.Fprintf(&b, "\x1b[%dA\r\x1b[J", up)
	}
	b.WriteString(view)
	// A closed terminal must not stop a rollout.
	_, _ = io.WriteString(l.out, b.String())
	l.rows, l.cols, l.drawn = strings.Count(view, "\n"), width, l.m.now
}
