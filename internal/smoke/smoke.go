// Package smoke sends smoke tests: a few requests whose answers say whether a version
// works, before any user gets it. They go to every pod of the version, and through
// the entry point. All of them have to pass; one that could not be sent did not.
package smoke

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/probe/expect"
)

// A Plan is what is sent. Its JSON is kept in the record of a release, for every
// process that goes on with it; it has the names of secrets, not their values.
type Plan struct {
	// Scheme and Port are those of the pods; without them they speak HTTP on the port
	// that their Service leads to.
	Scheme string `json:"scheme,omitempty"`
	Port   int    `json:"port,omitempty"`
	Tests  []Test `json:"tests"`
}

// A Test is one request, and what its answer has to be.
type Test struct {
	Name    string            `json:"name"`
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers,omitempty"`
	// HeadersEnv are headers whose values are in environment variables, by header.
	HeadersEnv map[string]string `json:"headers_env,omitempty"`
	Body       string            `json:"body,omitempty"`
	// Expect are lines as in the input probe-expect, without the path.
	Expect []string `json:"expect"`
	// MaxTime is the longest time to the end of the answer.
	MaxTime time.Duration `json:"max_time"`
	// Pods and Entry say where it is sent: to every pod, and through the entry point.
	Pods  bool `json:"pods"`
	Entry bool `json:"entry"`

	expectations []expect.Expectation
}

// Page returns the test that a path is answered with 200, everywhere.
func Page(path string, maxTime time.Duration) Test {
	t := Test{Name: "GET " + path, Method: http.MethodGet, Path: path, Expect: []string{"status 200"}, MaxTime: maxTime, Pods: true, Entry: true}
	if err := t.compile(); err != nil {
		panic("smoke: " + err.Error()) // the line is ours
	}
	return t
}

// compile reads the expectations.
func (t *Test) compile() error {
	paths := []expect.Path{{Path: "/"}}
	var wrong []error
	for _, line := range t.Expect {
		for _, e := range expect.ParseExpectations("/ "+line, paths) {
			wrong = append(wrong, fmt.Errorf("expect %q: %s", line, e.Why))
		}
	}
	t.expectations = paths[0].Expectations
	return errors.Join(wrong...)
}

// reads reports whether an expectation is about the body.
func (t *Test) reads() bool {
	return slices.ContainsFunc(t.Expect, func(line string) bool { return strings.HasPrefix(line, "body ") || strings.HasPrefix(line, "json ") })
}

// Encode returns the plan for the record.
func (p Plan) Encode() (json.RawMessage, error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode the smoke tests: %w", err)
	}
	return raw, nil
}

// Decode reads what Encode returned.
func Decode(raw json.RawMessage) (Plan, error) {
	var p Plan
	if err := json.Unmarshal(raw, &p); err != nil {
		return p, fmt.Errorf("read the recorded smoke tests: %w", err)
	}
	for i := range p.Tests {
		if err := p.Tests[i].compile(); err != nil {
			return p, fmt.Errorf("read the recorded smoke test %q: %w", p.Tests[i].Name, err)
		}
	}
	return p, nil
}

// Secrets lists the environment variables that the tests take headers from, sorted.
func (p Plan) Secrets() []string {
	names := map[string]bool{}
	for _, t := range p.Tests {
		for _, name := range t.HeadersEnv {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// Unset lists those of the variables that have no value here.
func (p Plan) Unset(getenv func(string) string) []string {
	return slices.DeleteFunc(p.Secrets(), func(name string) bool { return getenv(name) != "" })
}
