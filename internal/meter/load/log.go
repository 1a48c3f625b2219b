package load

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/candlefish/deploy-action/internal/isolate/output"
)

// What a run of k6 leaves in its folder.
const (
	summaryFile   = "summary.json"
	logFile       = "k6.log"
	dashboardFile = "dashboard.html"
)

const (
	maxSummary = 32 << 20
	maxLog     = 256 << 20 // a line for each failed request
	maxLine    = 1 << 20
)

// open opens a file that k6 wrote in its folder, if it is one: k6 runs code of others,
// and a link could lead anywhere.
func open(dir, name string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file: %v", name, info.Mode())
	}
	return root.Open(name)
}

// readSummary reads the summary.
func readSummary(dir string) ([]byte, error) {
	f, err := open(dir, summaryFile)
	if err != nil {
		return nil, fmt.Errorf("k6 wrote no summary: %w", err)
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxSummary+1))
}

// A journal is what k6 wrote into its log, counted.
type journal struct {
	exceptions int // iterations that ended by one
	exception  string
	errors     int // of k6 itself
	said       string
	consoles   int // lines that the script wrote as errors
	blocked    int // requests to hosts that are not allowed
	block      string
	failure    string // why the last request failed that got no answer
	cut        bool   // the log is larger than what was read
}

// readLog counts what is in k6's log. Without a log it is empty.
func readLog(dir string) (journal, error) {
	var j journal
	if _, err := os.Lstat(filepath.Join(dir, logFile)); os.IsNotExist(err) {
		return j, nil
	}
	f, err := open(dir, logFile)
	if err != nil {
		return j, fmt.Errorf("read the log of k6: %w", err)
	}
	defer func() { _ = f.Close() }()
	limited := &io.LimitedReader{R: f, N: maxLog}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		j.count(lines.Bytes())
	}
	j.cut = limited.N == 0 || lines.Err() != nil
	return j, nil
}

// crossing is what k6 says when thresholds do not hold: no error of its own.
var crossing = regexp.MustCompile(`^thresholds on metrics '.*' have been crossed$`)

// unloaded is what k6 says before the error of a script that it cannot load: three times
// the whole path, which would leave no room for the error.
var unloaded = regexp.MustCompile(`^could not initialize '[^']*': could not load JS test '[^']*': (?:file://\S*/)?`)

// refusedAddress is what k6 says of a host that it must not reach.
var refusedAddress = regexp.MustCompile(`IP \(([0-9a-fA-F.:]+)\) is in a blacklisted range`)

func (j *journal) count(line []byte) {
	var entry struct{ Level, Msg, Source, Error, Hint string }
	if json.Unmarshal(line, &entry) != nil {
		return // a script can write what it likes there
	}
	if m := refusedAddress.FindStringSubmatch(entry.Error + " " + entry.Msg); m != nil {
		j.blocked++
		j.block = m[1]
	}
	if entry.Level == "warning" && entry.Error != "" {
		j.failure = output.Cut(strings.TrimSpace(strings.Split(entry.Error, "\n")[0]), 200)
	}
	if entry.Level != "error" && entry.Level != "fatal" {
		return
	}
	text := output.Cut(unloaded.ReplaceAllString(strings.TrimSpace(strings.Split(strings.TrimSpace(entry.Msg), "\n")[0]), ""), 200)
	switch {
	case entry.Source == "console":
		j.consoles++
	case entry.Source == "stacktrace":
		j.exceptions++
		j.exception = text
		j.said = text
	case !crossing.MatchString(text):
		j.errors++
		j.said = text
	}
}
