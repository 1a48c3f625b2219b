// Package bundle measures what visitors download of a build: the bytes of its files,
// as they are, compressed by gzip (level 9) and by brotli (quality 11). Each file is
// compressed on its own, as servers do; one that compression makes larger counts as
// it is.
//
// A build is a folder with a manifest of Next.js or Vite, whose routes and entries are
// measured with all files that they load at first, or files chosen by globs. Sizes do
// not vary, so one round is enough.
package bundle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/candlefish/deploy-action/internal/measure"
	"github.com/candlefish/deploy-action/internal/meter"
)

// Setting has the bundles, one per line, with paths below the workspace:
//
//	NAME=GLOB,GLOB   the files of the globs together
//	GLOB             each of its files, without the hashes of their contents in their names
//	FOLDER           a build of Next.js or Vite: what its manifest names
const Setting = "bundles"

// Bounds of what is read.
const (
	maxManifest = 16 << 20  // bytes
	maxFile     = 64 << 20  // bytes
	maxTotal    = 512 << 20 // bytes of all files
	maxFiles    = 20_000    // of one side, and named by one manifest
	maxWalked   = 500_000   // files and folders looked at
)

// Bundle is the meter.
type Bundle struct{}

var _ meter.Check = Bundle{}

// About describes it. Brotli at its best takes a second for each megabyte.
func (Bundle) About() meter.About {
	return meter.About{Name: "bundle", Does: "sizes of bundles: raw, gzip, brotli", Single: true, Time: 10 * time.Minute}
}

// Applies reports whether there are bundles.
func (Bundle) Applies(job meter.Job) (bool, string) {
	bundles, err := parse(job.Settings[Setting])
	if err == nil && len(bundles) == 0 {
		return false, "no bundles"
	}
	return true, fmt.Sprintf("%d bundle(s)", len(bundles))
}

// Problems are lines that cannot be meant.
func (Bundle) Problems(job meter.Job) []error {
	if _, err := parse(job.Settings[Setting]); err != nil {
		return []error{err}
	}
	return nil
}

// Measure measures all bundles of the job's workspace.
func (Bundle) Measure(ctx context.Context, job meter.Job) (meter.Reading, error) {
	bundles, err := parse(job.Settings[Setting])
	if err != nil {
		return meter.Reading{}, err
	}
	root, err := os.OpenRoot(job.Workspace) // opens nothing that is outside
	if err != nil {
		return meter.Reading{}, fmt.Errorf("open the workspace: %w", err)
	}
	defer func() { _ = root.Close() }()
	m := &measurement{ctx: ctx, root: root, sizes: map[string]size{}, seen: map[string]bool{}}
	for _, b := range bundles {
		if err := m.bundle(b); err != nil {
			return meter.Reading{}, err
		}
	}
	return m.reading, nil
}

// A bundle is one line of the setting.
type bundle struct {
	name  string // "" if each file, or each route, is one of its own
	globs []string
}

func parse(setting string) ([]bundle, error) {
	var all []bundle
	var wrong []error
	for line := range strings.Lines(setting) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		b, err := parseLine(line)
		if err == nil && b.name != "" && slices.ContainsFunc(all, func(a bundle) bool { return a.name == b.name }) {
			err = errors.New("its name is there twice")
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("input bundles: %q: %w", line, err))
		}
		all = append(all, b)
	}
	return all, errors.Join(wrong...)
}

func parseLine(line string) (bundle, error) {
	name, globs, named := strings.Cut(line, "=")
	if !named {
		name, globs = "", line
	}
	b := bundle{name: strings.TrimSpace(name)}
	if named && b.name == "" {
		return b, errors.New("it has no name before =")
	}
	for glob := range strings.SplitSeq(globs, ",") {
		if strings.TrimSpace(glob) == "" {
			return b, errors.New("a glob is empty")
		}
		glob = path.Clean(strings.TrimSpace(glob))
		base, _ := doublestar.SplitPattern(glob)
		switch {
		case !doublestar.ValidatePattern(glob):
			return b, fmt.Errorf("%q is no glob", glob)
		case !filepath.IsLocal(filepath.FromSlash(base)):
			return b, fmt.Errorf("%q is outside of the folder of the repository", glob)
		}
		b.globs = append(b.globs, glob)
	}
	if !named && len(b.globs) > 1 {
		return b, errors.New("several globs need a name: NAME=GLOB,GLOB")
	}
	return b, nil
}

// A measurement is of one side.
type measurement struct {
	ctx     context.Context
	root    *os.Root
	reading meter.Reading
	sizes   map[string]size // of files, by path
	total   int64           // bytes of these files
	walked  int
	seen    map[string]bool // subjects
}

// bundle measures one line.
func (m *measurement) bundle(b bundle) error {
	if b.name == "" {
		info, err := m.root.Stat(b.globs[0])
		if err == nil && info.IsDir() {
			return m.build(b.globs[0])
		}
	}
	files := map[string]bool{}
	for _, glob := range b.globs {
		found, err := m.glob(glob)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			m.gap(b.subject(glob), fmt.Sprintf("no file matches %s", glob))
			return nil
		}
		for _, f := range found {
			files[f] = true
		}
	}
	groups := map[string][]string{}
	for f := range files {
		groups[b.subject(withoutHash(f))] = append(groups[b.subject(withoutHash(f))], f)
	}
	return m.groups(groups)
}

// subject is the bundle's name, or what a bundle without one has instead.
func (b bundle) subject(otherwise string) string {
	if b.name != "" {
		return b.name
	}
	return otherwise
}

// groups measures files by subject.
func (m *measurement) groups(groups map[string][]string) error {
	for _, subject := range sorted(groups) {
		if m.seen[subject] {
			return fmt.Errorf("two bundles are named %q", subject)
		}
		m.seen[subject] = true
		var sum size
		for _, f := range groups[subject] {
			s, missing, err := m.size(f)
			if err != nil {
				return err
			}
			if missing {
				m.gap(subject, fmt.Sprintf("%s is named, and is not there", f))
				sum = size{}
				break
			}
			sum = sum.plus(s)
		}
		if len(groups[subject]) == 0 {
			m.gap(subject, "the manifest names no script and no style of it")
		}
		if sum.files == 0 {
			continue
		}
		for i, v := range []int64{sum.raw, sum.gzip, sum.brotli} {
			m.reading.Values = append(m.reading.Values, meter.Value{Subject: subject, Metric: metrics[i], Value: float64(v)})
		}
	}
	return nil
}

func (m *measurement) gap(subject, why string) {
	for _, metric := range metrics {
		m.reading.Gaps = append(m.reading.Gaps, meter.Gap{Subject: subject, Metric: metric.Name, Why: why})
	}
}

// metrics are raw, gzip, brotli, in this order.
var metrics = []measure.Metric{metric("raw", "Size"), metric("gzip", "Size by gzip"), metric("brotli", "Size by brotli")}

func metric(name, title string) measure.Metric {
	return measure.Metric{
		Name: name, Title: title, Unit: measure.Bytes, Better: measure.Lower, Compared: true, Exact: true,
		Floor: measure.Floor{Absolute: 512, Relative: .01},
	}
}
