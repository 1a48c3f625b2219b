package build

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
)

// A tally counts the tests of a run of go test and prints what plain go test
// would have printed. Only tests at the top level count; a subtest's failure is
// its parent's. A skipped test counts as failed: what is not tested is not shown
// to work.
type tally struct {
	mu     sync.Mutex
	out    io.Writer
	Passed int
	Failed int
	ended  map[string]bool     // tests that ended, and whether all their runs passed
	held   map[string][]string // output of the test that runs, by package and test
	seed   map[string]string   // what repeats a package's shuffled order

	failures []string // what failed tests said, for the end of a long log
}

func newTally(out io.Writer) *tally {
	return &tally{out: out, ended: map[string]bool{}, held: map[string][]string{}, seed: map[string]string{}}
}

// to makes the tally write to out from now on. A test that was counted before,
// in another run of go test, is not counted again unless it fails now.
func (t *tally) to(out io.Writer) *tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.out = out
	return t
}

// An event is one line of go test -json.
type event struct {
	Action     string
	Package    string
	Test       string
	Output     string
	ImportPath string
}

// read counts the events of r until its end. Lines that are no events are
// passed on.
func (t *tally) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			t.line(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read go test's events: %w", err)
		}
	}
}

func (t *tally) line(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var e event
	if json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
		fmt.Fprint(t.out, line)
		return
	}
	switch e.Action {
	case "output", "build-output":
		t.hold(e)
	case "pass":
		t.end(e, true)
	case "fail", "skip":
		t.end(e, false)
	case "build-fail":
		t.Failed++
	}
}

// hold keeps a test's output until it is known whether anybody wants it. What a
// package says is shown at once.
func (t *tally) hold(e event) {
	if e.Test == "" {
		if strings.HasPrefix(e.Output, "-test.shuffle ") {
			t.seed[e.Package] = e.Output
		} else if e.Output != "PASS\n" && !strings.HasPrefix(e.Output, "testing: warning: no tests to run") {
			fmt.Fprint(t.out, e.Output)
		}
		return
	}
	top, _, _ := strings.Cut(e.Test, "/")
	key := e.Package + "." + top
	t.held[key] = append(t.held[key], e.Output)
}

func (t *tally) end(e event, passed bool) {
	switch {
	case e.Test == "" && e.Action == "skip": // a package without tests
	case e.Test == "":
		t.packageEnded(e, passed)
	case !strings.Contains(e.Test, "/"):
		key := e.Package + "." + e.Test
		t.count(key, passed)
		if !passed {
			t.show(key)
		}
		delete(t.held, key)
	}
}

// count counts a test once, however often it runs: as failed if it failed once.
func (t *tally) count(key string, passed bool) {
	before, again := t.ended[key]
	switch {
	case !again && passed:
		t.Passed++
	case !again:
		t.Failed++
	case before && !passed:
		t.Passed--
		t.Failed++
	}
	t.ended[key] = passed && (before || !again)
}

// packageEnded shows what tests said that never ended: a crash, or a timeout.
func (t *tally) packageEnded(e event, passed bool) {
	if !passed {
		fmt.Fprint(t.out, t.seed[e.Package])
	}
	for key := range t.held {
		if !strings.HasPrefix(key, e.Package+".") {
			continue
		}
		if !passed {
			t.count(key, false)
			t.show(key)
		}
		delete(t.held, key)
	}
}

func (t *tally) show(key string) {
	var said strings.Builder
	for _, line := range t.held[key] {
		if strings.HasPrefix(line, "=== RUN") || strings.HasPrefix(line, "=== PAUSE") || strings.HasPrefix(line, "=== CONT") {
			continue
		}
		said.WriteString(line)
	}
	fmt.Fprint(t.out, said.String())
	t.failures = append(t.failures, key+"\n"+ends(said.String(), recapBytes))
}

// recapBytes is how much of a failed test's output the end of the log repeats.
const recapBytes = 6 << 10

// ends returns the beginning and the end of a long text: a test's error is in the
// first lines, or after what its program printed.
func ends(text string, most int) string {
	if len(text) <= most {
		return text
	}
	first, last := text[:most/2], text[len(text)-most/2:]
	return fmt.Sprintf("%s\n... %d bytes, shown above ...\n%s", strings.ToValidUTF8(first, ""), len(text)-most, strings.ToValidUTF8(last, ""))
}

// recap repeats what failed tests said: whoever opens the log of an hour sees its end.
func (t *tally) recap(out io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.failures {
		fmt.Fprintf(out, "\n--> failed: %s", f)
	}
}

// String is the closing line.
func (t *tally) String() string { return fmt.Sprintf("%d passed, %d failed", t.Passed, t.Failed) }
