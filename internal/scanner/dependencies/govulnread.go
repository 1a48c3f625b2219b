package dependencies

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/isolate"
	"github.com/candlefish/deploy-action/internal/isolate/output"
	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/advisory"
	"github.com/candlefish/deploy-action/internal/scanner/dependencies/gomod"
)

// govulnMessage is one of the stream of govulncheck -json, protocol v1. Source:
// golang.org/x/vuln/internal/govulncheck.
type govulnMessage struct {
	Config *struct {
		Protocol string    `json:"protocol_version"`
		Version  string    `json:"scanner_version"`
		Database time.Time `json:"db_last_modified"`
		Go       string    `json:"go_version"`
		Level    string    `json:"scan_level"`
		Mode     string    `json:"scan_mode"`
	} `json:"config"`
	Progress *struct{} `json:"progress"`
	SBOM     *struct {
		Modules []struct{} `json:"modules"`
		Roots   []string   `json:"roots"`
	} `json:"SBOM"`
	OSV     *osvAdvisory   `json:"osv"`
	Finding *govulnFinding `json:"finding"`
}

type govulnFinding struct {
	OSV   string        `json:"osv"`
	Fixed string        `json:"fixed_version"`
	Trace []govulnFrame `json:"trace"` // from the vulnerable symbol to the caller
}

type govulnFrame struct {
	Module   string `json:"module"`
	Version  string `json:"version"`
	Package  string `json:"package"`
	Function string `json:"function"`
	Receiver string `json:"receiver"`
	Position *struct {
		Filename string `json:"filename"`
		Line     int    `json:"line"`
	} `json:"position"`
}

// govulnScan is a stream, read.
type govulnScan struct {
	report   scanner.Report
	modules  bool
	osv      map[string]*osvAdvisory
	findings []*govulnFinding // the deepest of each advisory and module
	byKey    map[[3]string]int
}

// Read reads the analysis of one module.
func (Govulncheck) Read(job scanner.Job, cmd isolate.Command, ran isolate.Ran) (scanner.Report, error) {
	if err := output.Whole(ran, 0); err != nil {
		return scanner.Report{}, fmt.Errorf("govulncheck: %w%s", err, loadError(ran.Stderr))
	}
	s := govulnScan{report: scanner.Report{Coverage: verdict.Unknown()}, osv: map[string]*osvAdvisory{}, byKey: map[[3]string]int{}}
	if err := s.read(ran.Stdout); err != nil {
		return scanner.Report{}, fmt.Errorf("govulncheck: %w", err)
	}
	mod := "go.mod"
	if dir, err := filepath.Rel(job.Workspace, cmd.Dir); err == nil && cmd.Dir != "" {
		mod = path.Join(filepath.ToSlash(dir), mod)
	}
	text, err := read(job.Workspace, mod)
	if err != nil {
		return scanner.Report{}, fmt.Errorf("govulncheck: %w", err)
	}
	modules := gomod.Requires(text)
	for _, f := range s.findings {
		known, ok := s.osv[f.OSV]
		if !ok {
			return scanner.Report{}, fmt.Errorf("govulncheck: a finding is of %s, which the report does not describe", f.OSV)
		}
		s.report.Sightings = append(s.report.Sightings, f.sighting(known, mod, modules[f.Trace[0].Module]))
	}
	s.report.Coverage.Files, s.report.Coverage.FilesExpected = 1, 1
	if _, skipped, _ := analysed(job); len(skipped) > 0 {
		s.report.Notes = append(s.report.Notes, "not analysed, since the setting "+GoSkip+" names them: "+strings.Join(skipped, ", "))
	}
	if _, ofTests := goModules(job.Tree); len(ofTests) > 0 {
		s.report.Notes = append(s.report.Notes, "modules in folders of test data were not analysed: "+strings.Join(ofTests, ", "))
	}
	return s.report, nil
}

// loadError is the first package that could not be loaded, and why: govulncheck
// prints it before its advice.
func loadError(stderr []byte) string {
	_, after, ok := strings.Cut(string(stderr), "There are errors with the provided package patterns:")
	if !ok {
		return ""
	}
	first, _, _ := strings.Cut(strings.TrimSpace(after), "\n\n")
	return ": " + output.Cut(strings.Join(strings.Fields(first), " "), 400)
}

// read reads the messages. A whole stream has a configuration, before all others,
// and a list of modules: without packages to analyse govulncheck ends well after
// the first.
func (s *govulnScan) read(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	for first := true; ; first = false {
		var m govulnMessage
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("invalid JSON: %w", err)
		}
		if first != (m.Config != nil) {
			return errors.New("the stream does not begin with one configuration")
		}
		if err := s.take(m); err != nil {
			return err
		}
	}
	if !s.modules {
		return errors.New("the stream has no list of modules: no package was analysed")
	}
	return nil
}

// take takes one message in.
func (s *govulnScan) take(m govulnMessage) error {
	switch {
	case m.Config != nil:
		if !strings.HasPrefix(m.Config.Protocol, "v1.") {
			return fmt.Errorf("the protocol is %q, want v1", m.Config.Protocol)
		}
		s.report.Version, s.report.Database = m.Config.Version, m.Config.Database
		if m.Config.Level != "symbol" || m.Config.Mode != "source" {
			s.report.Doubts = append(s.report.Doubts, fmt.Sprintf("govulncheck looked at %q in mode %q, and not for calls in source", m.Config.Level, m.Config.Mode))
		}
		s.report.Notes = append(s.report.Notes, "the standard library is that of "+m.Config.Go)
	case m.SBOM != nil:
		if len(m.SBOM.Roots) == 0 {
			return errors.New("no package was analysed")
		}
		s.modules, s.report.Coverage.Packages = true, len(m.SBOM.Modules)
	case m.OSV != nil:
		s.osv[m.OSV.ID] = m.OSV
	case m.Finding != nil:
		if m.Finding.OSV == "" || len(m.Finding.Trace) == 0 {
			return errors.New("a finding has no advisory or trace")
		}
		s.keep(m.Finding)
	case m.Progress == nil:
		return errors.New("a message has no known part")
	}
	return nil
}

// keep keeps the finding that reaches deepest: govulncheck reports a module, then
// its package, then each symbol.
func (s *govulnScan) keep(f *govulnFinding) {
	key := [3]string{f.OSV, f.Trace[0].Module, f.Trace[0].Version}
	at, known := s.byKey[key]
	if !known {
		s.byKey[key] = len(s.findings)
		s.findings = append(s.findings, f)
		return
	}
	if depth(f.reach()) > depth(s.findings[at].reach()) {
		s.findings[at] = f
	}
}

func (f *govulnFinding) reach() finding.Reach {
	switch {
	case f.Trace[0].Function != "":
		return finding.ReachCalled
	case f.Trace[0].Package != "":
		return finding.ReachImported
	}
	return finding.ReachRequired
}

func depth(r finding.Reach) int {
	return slices.Index([]finding.Reach{finding.ReachRequired, finding.ReachImported, finding.ReachCalled}, r)
}

// sighting makes one of a finding and its advisory.
func (f *govulnFinding) sighting(known *osvAdvisory, mod string, asked gomod.Required) finding.Sighting {
	module, reach := f.Trace[0], f.reach()
	word, score := known.rating()
	s := finding.Sighting{
		Tool: "govulncheck", Rule: f.OSV, Class: finding.ClassDependency, Title: known.title(), IDs: known.ids(),
		Help: "https://pkg.go.dev/vuln/" + f.OSV, Known: known.Published, Reach: reach,
		Rating:   finding.Rating{Word: word, Score: score},
		Location: finding.Location{Path: mod, Line: asked.Line},
		Package: finding.Package{
			Ecosystem: "Go", Name: module.Module, Version: advisory.Version("Go", module.Version), Fixed: advisory.Version("Go", f.Fixed),
			Direct: asked.Line > 0 && !asked.Indirect,
		},
	}
	switch reach {
	case finding.ReachCalled:
		s.Message = fmt.Sprintf("%s %s: %s is called: %s", module.Module, module.Version, module.symbol(), f.path())
	case finding.ReachImported:
		s.Message = fmt.Sprintf("%s %s: package %s is imported, no call of its vulnerable functions was found", module.Module, module.Version, module.Package)
	default:
		s.Message = fmt.Sprintf("%s %s is required, its vulnerable packages are not imported", module.Module, module.Version)
	}
	return s
}

// path says how the program gets to the vulnerable function, from its own code.
func (f *govulnFinding) path() string {
	var steps []string
	for _, frame := range slices.Backward(f.Trace) {
		step := frame.symbol()
		if len(steps) == 0 && frame.Position != nil {
			step = fmt.Sprintf("%s (%s:%d)", step, frame.Position.Filename, frame.Position.Line)
		}
		steps = append(steps, step)
	}
	if len(steps) > 6 {
		steps = slices.Concat(steps[:3], []string{"..."}, steps[len(steps)-2:])
	}
	return strings.Join(steps, " -> ")
}

// symbol is a function with its package, as "language.Parse" or "http.(*Server).Serve".
func (f govulnFrame) symbol() string {
	name := f.Function
	if f.Receiver != "" {
		receiver := f.Receiver
		if strings.HasPrefix(receiver, "*") {
			receiver = "(" + receiver + ")"
		}
		name = receiver + "." + name
	}
	return path.Base(f.Package) + "." + name
}
