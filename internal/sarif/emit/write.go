package emit

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	gosarif "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
)

const (
	schema  = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	version = "2.1.0"
	root    = "%SRCROOT%"
)

// Write writes a document as one file. Results are written one by one, so that 100,000
// are never in memory as JSON.
func (d Document) Write(to io.Writer) error {
	w := bufio.NewWriterSize(to, 64<<10)
	fmt.Fprintf(w, "{\"$schema\":%q,\"version\":%q,\"runs\":[", schema, version)
	for i, r := range d.Runs {
		if i > 0 {
			_ = w.WriteByte(',')
		}
		if err := d.run(w, r); err != nil {
			return fmt.Errorf("write SARIF: the run of %s: %w", r.Tool, err)
		}
	}
	_, _ = w.WriteString("]}\n")
	if err := w.Flush(); err != nil { // of all writes before, too
		return fmt.Errorf("write SARIF: %w", err)
	}
	return nil
}

// run writes one run: all but its results at once, and those in their place.
func (d Document) run(w *bufio.Writer, r Run) error {
	known := rules(r)
	head, err := encode(d.header(r, known))
	if err != nil {
		return err
	}
	// A quote within a string is escaped, so that this can only be the member.
	before, after, ok := bytes.Cut(head, []byte(`"results":[]`))
	if !ok {
		return errors.New("go-sarif has written no list of results")
	}
	_, _ = w.Write(before)
	_, _ = w.WriteString(`"results":[`)
	suppressed := r.suppresses()
	for i := range r.Results {
		if i > 0 {
			_ = w.WriteByte(',')
		}
		one := &r.Results[i]
		raw, err := encode(one.sarif(known[one.Sighting.Rule], r.Compared, suppressed))
		if err != nil {
			return err
		}
		if _, err := w.Write(raw); err != nil {
			return err
		}
	}
	_ = w.WriteByte(']')
	_, err = w.Write(after)
	return err
}

// encode is JSON whose texts are not made for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// A head is a run without the lists of go-sarif that are always empty here.
type head struct {
	*gosarif.Run
	Addresses           *none `json:"addresses,omitempty"`
	Graphs              *none `json:"graphs,omitempty"`
	Language            *none `json:"language,omitempty"`
	LogicalLocations    *none `json:"logicalLocations,omitempty"`
	NewlineSequences    *none `json:"newlineSequences,omitempty"`
	Policies            *none `json:"policies,omitempty"`
	RedactionTokens     *none `json:"redactionTokens,omitempty"`
	RunAggregates       *none `json:"runAggregates,omitempty"`
	Taxonomies          *none `json:"taxonomies,omitempty"`
	ThreadFlowLocations *none `json:"threadFlowLocations,omitempty"`
	Translations        *none `json:"translations,omitempty"`
	WebRequests         *none `json:"webRequests,omitempty"`
	WebResponses        *none `json:"webResponses,omitempty"`
}

// none hides a member of an embedded type that has no value.
type none struct{}

func (d Document) header(r Run, known map[string]*rule) head {
	driver := gosarif.NewToolComponent().WithName(r.Tool)
	if r.Version != "" {
		driver.WithVersion(r.Version)
	}
	driver.Rules = make([]*gosarif.ReportingDescriptor, len(known))
	for _, one := range known {
		driver.Rules[one.index] = one.descriptor()
	}
	run := gosarif.NewRun().WithTool(gosarif.NewTool().WithDriver(driver)).
		WithAutomationDetails(gosarif.NewRunAutomationDetails().WithID(r.ID)).
		WithColumnKind("utf16CodeUnits").AddInvocation(invocation(r))
	run.WithOriginalUriBaseIds(map[string]gosarif.ArtifactLocation{root: *gosarif.NewArtifactLocation().WithDescription(gosarif.NewTextMessage("the root of the repository"))})
	if v := d.provenance(); v != nil {
		run.VersionControlProvenance = append(run.VersionControlProvenance, v)
	}
	if r.Files >= 0 {
		run.WithProperties(gosarif.NewPropertyBag().Add("candlefish/files", r.Files))
	}
	return head{Run: run}
}

// provenance is the commit that was scanned, nil if it is not known.
func (d Document) provenance() *gosarif.VersionControlDetails {
	if d.Server == "" || d.Place.Repository == "" {
		return nil
	}
	v := gosarif.NewVersionControlDetails().WithRepositoryURI(d.Server + "/" + d.Place.Repository)
	if d.Place.Commit != "" {
		v.WithRevisionID(d.Place.Commit)
	}
	if d.Place.Ref != "" {
		v.WithBranch(d.Place.Ref)
	}
	return v.WithMappedTo(gosarif.NewArtifactLocation().WithURIBaseID(root))
}

func invocation(r Run) *gosarif.Invocation {
	i := gosarif.NewInvocation().WithExecutionSuccessful(r.Whole)
	if !r.Ended.IsZero() {
		i.WithEndTimeUtc(r.Ended.UTC().Format(time.RFC3339))
	}
	for _, why := range r.Why {
		n := gosarif.NewNotification().WithMessage(gosarif.NewTextMessage(cmp.Or(why, "no reason given")))
		n.Level = "error"
		i.AddToolExecutionNotification(n)
	}
	return i
}
