// Package recorded records latencies of a real server under load, and goes through a
// recording at random without losing what hangs together in it. It keeps no
// recordings: what a machine does at one time is no fixture.
package recorded

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
)

// Window is the time whose recorded answers may stand in for each other, in seconds.
const Window = 0.1

// MeanBlock is the mean length of the blocks of a Path, in seconds.
const MeanBlock = 10.0

// A Series has recorded latencies, in seconds, by the window in which the requests
// left. No window is empty.
type Series [][]float64

// Read reads what Record writes: a time and a latency per line, in seconds. The error
// names the file and the line.
func Read(path string) (Series, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	var s Series
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		var at, latency float64
		if _, err := fmt.Sscan(lines.Text(), &at, &latency); err != nil || !(at >= 0 && at < 1e6 && latency >= 0 && latency < 1e6) {
			return nil, fmt.Errorf("%s: line %d is %q, want a time and a latency in seconds", path, n, lines.Text())
		}
		for len(s) <= int(at/Window) {
			s = append(s, nil)
		}
		s[int(at/Window)] = append(s[int(at/Window)], latency)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return s.filled(path)
}

// filled gives a window without answers those of the window before: nothing left in
// it, since the recorder or the machine was busy.
func (s Series) filled(path string) (Series, error) {
	for len(s) > 0 && len(s[0]) == 0 {
		s = s[1:]
	}
	if len(s) < int(2*MeanBlock/Window) {
		return nil, fmt.Errorf("%s: %.0f s of latencies, want at least %.0f", path, float64(len(s))*Window, 2*MeanBlock)
	}
	for i := range s {
		if len(s[i]) == 0 {
			s[i] = s[i-1]
		}
	}
	return s, nil
}

// A Path goes through the windows of a series by the stationary bootstrap: on to the
// next window, or, with the probability of Window/MeanBlock, to any other. The end
// is followed by the beginning.
type Path struct {
	r       *rand.Rand
	series  Series
	window  int // of the simulation
	current int // of the series
}

// Path begins a Path at any window.
func (s Series) Path(r *rand.Rand) *Path {
	return &Path{r: r, series: s, current: r.IntN(len(s))}
}

// At returns the latencies of the window that a time, in seconds, leads to. Time may
// not go back.
func (p *Path) At(seconds float64) []float64 {
	for ; p.window < int(seconds/Window); p.window++ {
		p.current = (p.current + 1) % len(p.series)
		if p.r.Float64() < Window/MeanBlock {
			p.current = p.r.IntN(len(p.series))
		}
	}
	return p.series[p.current]
}
