package smoke

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxTests bounds the requests of a file: each goes to every pod.
const maxTests = 100

// The file as people write it.
type file struct {
	Scheme   string    `yaml:"scheme"`
	Port     int       `yaml:"port"`
	Requests []request `yaml:"requests"`
}

type request struct {
	Name       string            `yaml:"name"`
	Method     string            `yaml:"method"`
	Path       string            `yaml:"path"`
	Headers    map[string]string `yaml:"headers"`
	HeadersEnv map[string]string `yaml:"headers-env"`
	Body       string            `yaml:"body"`
	Expect     []string          `yaml:"expect"`
	MaxTime    string            `yaml:"max-time"`
	At         []string          `yaml:"at"`
}

// Where a request is sent.
const (
	atPods  = "pods"
	atEntry = "entry-point"
)

var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

var (
	headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	// goName is what the decoder says of our types, which are not the reader's.
	goName  = regexp.MustCompile(` in type smoke\.\w+`)
	envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// Parse reads a file of requests. maxTime is that of requests without one of their
// own. All that is wrong is in one error, a line for each.
func Parse(raw []byte, maxTime time.Duration) (Plan, error) {
	var f file
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return Plan{}, fmt.Errorf("the smoke file is refused: %s", goName.ReplaceAllString(err.Error(), ""))
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return Plan{}, errors.New("the smoke file is refused: it has a second document behind ---: want one")
	}
	p := Plan{Scheme: f.Scheme, Port: f.Port}
	var wrong []error
	refuse := func(format string, args ...any) {
		wrong = append(wrong, fmt.Errorf("the smoke file is refused: "+format, args...))
	}
	if f.Scheme != "" && f.Scheme != "http" && f.Scheme != "https" {
		refuse("scheme %q: want http or https", f.Scheme)
	}
	if f.Port < 0 || f.Port > 65535 {
		refuse("port %d: want a number from 1 to 65535", f.Port)
	}
	if len(f.Requests) == 0 || len(f.Requests) > maxTests {
		refuse("%d requests: want 1 to %d", len(f.Requests), maxTests)
	}
	for i, r := range f.Requests {
		t, problems := r.test(maxTime)
		for _, problem := range problems {
			refuse("requests[%d]: %w", i, problem)
		}
		p.Tests = append(p.Tests, t)
	}
	return p, errors.Join(wrong...)
}

// test returns a request of the file as a test.
func (r request) test(maxTime time.Duration) (Test, []error) {
	t := Test{Name: r.Name, Method: r.Method, Path: r.Path, Headers: r.Headers, HeadersEnv: r.HeadersEnv, Body: r.Body, Expect: r.Expect, MaxTime: maxTime}
	if t.Method == "" {
		t.Method = http.MethodGet
	}
	if t.Name == "" {
		t.Name = t.Method + " " + t.Path
	}
	if len(t.Expect) == 0 {
		t.Expect = []string{"status 200"}
	}
	t.Pods = len(r.At) == 0 || slices.Contains(r.At, atPods)
	t.Entry = len(r.At) == 0 || slices.Contains(r.At, atEntry)
	wrong := r.wrong(t)
	if r.MaxTime != "" {
		d, err := time.ParseDuration(r.MaxTime)
		if err != nil || d <= 0 {
			wrong = append(wrong, fmt.Errorf("max-time %q: want a duration such as 500ms", r.MaxTime))
		}
		t.MaxTime = d
	}
	if err := t.compile(); err != nil {
		wrong = append(wrong, err)
	}
	return t, wrong
}

// wrong lists what is wrong with a request, beside its durations and expectations.
func (r request) wrong(t Test) []error {
	var wrong []error
	if !slices.Contains(methods, t.Method) {
		wrong = append(wrong, fmt.Errorf("method %q: want one of %s", t.Method, strings.Join(methods, ", ")))
	}
	if !strings.HasPrefix(t.Path, "/") || strings.ContainsAny(t.Path, " \t\r\n#") {
		wrong = append(wrong, fmt.Errorf("path %q: want one that starts with '/'", t.Path))
	}
	for _, name := range slices.Concat(slices.Sorted(maps.Keys(r.Headers)), slices.Sorted(maps.Keys(r.HeadersEnv))) {
		if !headerName.MatchString(name) {
			wrong = append(wrong, fmt.Errorf("header %q: that is no name of a header", name))
		}
	}
	for _, header := range slices.Sorted(maps.Keys(r.HeadersEnv)) {
		if name := r.HeadersEnv[header]; !envName.MatchString(name) {
			wrong = append(wrong, fmt.Errorf("headers-env %s: want the name of an environment variable", header))
		}
	}
	for _, at := range r.At {
		if at != atPods && at != atEntry {
			wrong = append(wrong, fmt.Errorf("at %q: want %s or %s", at, atPods, atEntry))
		}
	}
	return wrong
}
