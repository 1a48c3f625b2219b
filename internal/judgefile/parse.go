package judgefile

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/check"
	"github.com/candlefish/deploy-action/internal/source"
)

// A file is an analysis file as it stands, without defaults and before it is
// validated.
type file struct {
	config  config.Config
	sources [][]source.Config // of each metric; the first one is in config
	decoder decoder
}

// parse reads YAML and collects its errors. An error is what ends the
// reading. Sources and checks are decoded into their own types, since config.Config
// does not know what they hold.
func parse(raw []byte) (*file, error) {
	f := &file{decoder: decoder{places: map[string]place{}}}
	root, second, err := treeOf(raw)
	if err != nil {
		return nil, err
	}
	if second > 0 {
		f.decoder.misplace(&yaml.Node{Line: second, Column: 1}, "", "followed by a second document", "one document")
	}
	if root == nil || root.ShortTag() == "!!null" {
		return f, nil
	}
	f.decoder.object(root, reflect.ValueOf(&f.config).Elem(), "", map[string]reader{"metrics": f.metrics, "checks": f.checks})
	return f, nil
}

// metrics reads the list of metrics.
func (f *file) metrics(n *yaml.Node, path string) {
	d := &f.decoder
	for i, item := range d.items(n, path) {
		var m config.Metric
		var sources []source.Config
		at := fmt.Sprintf("%s[%d]", path, i)
		d.note(at, item, item)
		special := map[string]reader{}
		for _, kind := range kinds {
			special[kind.Key] = func(n *yaml.Node, path string) {
				c := kind.New()
				d.object(n, reflect.ValueOf(c).Elem(), path, nil)
				sources = append(sources, c)
			}
		}
		d.object(item, reflect.ValueOf(&m).Elem(), at, special)
		if len(sources) > 0 {
			m.Source = sources[0]
		}
		f.config.Metrics, f.sources = append(f.config.Metrics, m), append(f.sources, sources)
	}
}

// checks reads the list of checks.
func (f *file) checks(n *yaml.Node, path string) {
	d := &f.decoder
	for i, item := range d.items(n, path) {
		var c check.Config
		at := fmt.Sprintf("%s[%d]", path, i)
		d.note(at, item, item)
		d.object(item, reflect.ValueOf(&c).Elem(), at, nil)
		f.config.Checks = append(f.config.Checks, c.Check())
	}
}

// validate adds what is wrong with the settings to what is wrong with the file. c has
// the defaults, and so may have metrics before the file's own.
func (f *file) validate(c config.Config) {
	added := len(c.Metrics) - len(f.sources)
	for _, p := range append(f.misplaced(c.Metrics), c.Problems()...) {
		p.Path = renumbered(p.Path, added)
		if !f.decoder.covers(p.Path) {
			f.decoder.found = append(f.decoder.found, problem{Problem: p, place: f.decoder.placeOf(p.Path)})
		}
	}
}

// renumbered is a path with the number that a metric has in the file.
func renumbered(path string, added int) string {
	rest, ok := strings.CutPrefix(path, "metrics[")
	if !ok {
		return path
	}
	var i int
	if n, err := fmt.Sscanf(rest, "%d]", &i); n != 1 || err != nil {
		return path
	}
	_, field, _ := strings.Cut(rest, "]")
	if i < added {
		return "the inputs' limits of " + config.ProbeMetric + field
	}
	return fmt.Sprintf("metrics[%d]%s", i-added, field)
}

// covers says whether a field could not be read, or what it is in: that it has not what
// it needs is then no news.
func (d *decoder) covers(path string) bool {
	return slices.ContainsFunc(d.found, func(p problem) bool {
		return p.unread && (p.Path == "" || path == p.Path || strings.HasPrefix(path, p.Path+".") || strings.HasPrefix(path, p.Path+"["))
	})
}

// placeOf is where a path stands, or what it would stand in.
func (d *decoder) placeOf(path string) place {
	for path != "" {
		if at, ok := d.places[path]; ok {
			return at
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return place{1, 1}
}

// err is all that is wrong, in the order of the file; nil for nothing.
func (d *decoder) err() error {
	if len(d.found) == 0 {
		return nil
	}
	slices.SortStableFunc(d.found, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
	})
	var lines []string
	for _, p := range d.found {
		lines = append(lines, fmt.Sprintf("line %d, column %d: %v", p.line, p.column, p.Problem))
	}
	return fmt.Errorf("the analysis file is refused:\n%s", strings.Join(lines, "\n"))
}
