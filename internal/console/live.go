package console

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// redraw is the shortest time between two pictures.
const redraw = 100 * time.Millisecond

// A Live keeps one picture in a terminal up to date. It writes only: it reads no
// keys, handles no signals and leaves the terminal's modes alone, so there is
// nothing to put back when the process is killed. The last picture stays.
type Live struct {
	out   io.Writer
	width func() int
	m     model
	drawn time.Time
	rows  int // of the picture on the screen
	cols  int // it was drawn for
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

// draw replaces the picture in one write, so that it does not flicker.
func (l *Live) draw() {
	width := l.width()
	if width <= 0 {
		width = 80
	}
	picture := render(l.m, width)
	var b strings.Builder
	if l.rows > 0 {
		// After a narrowing the terminal has wrapped the old rows.
		up := l.rows
		if width < l.cols {
			up *= (l.cols + width - 1) / width
		}
		fmt.Fprintf(&b, "\x1b[%dA\r\x1b[J", up)
	}
	b.WriteString(picture)
	// A terminal that is gone is no reason to stop a rollout.
	_, _ = io.WriteString(l.out, b.String())
	l.rows, l.cols, l.drawn = strings.Count(picture, "\n"), width, l.m.now
}
