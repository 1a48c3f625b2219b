package sarif

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	gosarif "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/redact"
)

// A context is what all results of a run have in common. It is not changed any more
// when results are read.
type context struct {
	options   Options
	name      string // the scanner's name
	driver    *gosarif.ToolComponent
	rules     rules
	places    places
	cwe       taxonomy
	overrides []map[string]string // by invocation: a rule's id to its level
	image     string
	class     finding.Class // of the whole run; "" if it is found by result
	gitleaks  bool
	redactor  *redact.Redactor
}

// context decodes the members of a run other than its results.
func (p *part) context(o Options) (*context, Run, error) {
	var r struct {
		gosarif.Run
		Artifacts []artifact `json:"artifacts"`
	}
	header := append([]byte{'{'}, bytesAfterComma(p.header.Bytes())...)
	if err := decode(append(header, '}'), &r); err != nil {
		return nil, Run{}, err
	}
	if r.Tool == nil || r.Tool.Driver == nil || value(r.Tool.Driver.Name) == "" {
		return nil, Run{}, errors.New("it names no tool (tool.driver.name)")
	}
	d := r.Tool.Driver
	c := &context{
		options: o, name: cmp.Or(o.Tool, slug(value(d.Name))), driver: d, rules: newRules(r.Tool), image: cmp.Or(o.Image, imageOf(&r.Run)),
		places: newPlaces(o.Workspace, &r.Run, r.Artifacts), cwe: newTaxonomy(&r.Run), overrides: overrides(r.Invocations), redactor: redact.New(),
	}
	c.class = cmp.Or(o.Class, classOfTool(value(d.Name)))
	c.gitleaks = strings.EqualFold(value(d.Name), "gitleaks")
	run := Run{
		Tool: line(value(d.Name), maxTitle), Name: c.name, Version: line(cmp.Or(value(d.Version), value(d.SemanticVersion)), maxTitle), Ran: p.listed, Files: analysed(r.Artifacts),
	}
	if r.AutomationDetails != nil {
		run.Category = line(value(r.AutomationDetails.ID), maxTitle)
	}
	run.Doubts, run.Notes = c.health(&r.Run, p.listed)
	for _, i := range r.Invocations {
		if i == nil {
			continue
		}
		if ended, err := time.Parse(time.RFC3339, value(i.EndTimeUtc)); err == nil && ended.After(run.Ended) {
			run.Ended = ended
		}
	}
	return c, run, nil
}

func bytesAfterComma(members []byte) []byte {
	if len(members) > 0 {
		return members[1:]
	}
	return members
}

// health returns what speaks against a run's results, and what is only to be known.
func (c *context) health(r *gosarif.Run, listed bool) (doubts, notes []string) {
	external := r.ExternalPropertyFileReferences
	switch {
	case external != nil && len(external.Results) > 0:
		doubts = append(doubts, fmt.Sprintf("its results are in %d other files", len(external.Results)))
	case !listed:
		doubts = append(doubts, "the file has no list of results: the tool did not run (section 3.14.23)")
	}
	for _, i := range r.Invocations {
		if i == nil {
			continue
		}
		switch ok := i.ExecutionSuccessful; {
		case ok == nil:
			notes = append(notes, "an invocation does not say whether it was successful")
		case !*ok:
			why := cmp.Or(value(i.ProcessStartFailureMessage), value(i.ExitCodeDescription), value(i.ExitSignalName))
			if why == "" && i.ExitCode != nil {
				why = fmt.Sprintf("exit status %d", *i.ExitCode)
			}
			doubts = append(doubts, c.clean(line(strings.TrimSuffix("it says that its run was not successful: "+why, ": "), maxNote)))
		}
		for _, n := range slices.Concat(i.ToolExecutionNotifications, i.ToolConfigurationNotifications) {
			if n != nil && n.Level == "error" {
				doubts = append(doubts, c.clean(line("it reports an error: "+c.notification(n), maxNote)))
			}
		}
	}
	return capped(doubts), capped(notes)
}

// notification is the text of one of a tool's own messages.
func (c *context) notification(n *gosarif.Notification) string {
	text := ""
	if n.Message != nil {
		text = cmp.Or(value(n.Message.Text), value(n.Message.Markdown), value(n.Message.ID))
	}
	if text == "" && n.Exception != nil {
		text = cmp.Or(value(n.Exception.Message), value(n.Exception.Kind))
	}
	if text == "" && n.Descriptor != nil {
		text = value(n.Descriptor.ID)
	}
	return cmp.Or(text, "without a message")
}

// maxNotes bounds how many doubts of a run are told one by one.
const maxNotes = 20

func capped(all []string) []string {
	if len(all) > maxNotes {
		return append(all[:maxNotes:maxNotes], fmt.Sprintf("and %d more", len(all)-maxNotes))
	}
	return all
}

// overrides reads the levels that invocations gave to rules.
func overrides(all []*gosarif.Invocation) []map[string]string {
	levels := make([]map[string]string, len(all))
	for i, one := range all {
		if one == nil {
			continue
		}
		levels[i] = map[string]string{}
		for _, o := range one.RuleConfigurationOverrides {
			if o != nil && o.Descriptor != nil && o.Configuration != nil && value(o.Descriptor.ID) != "" {
				levels[i][*o.Descriptor.ID] = o.Configuration.Level
			}
		}
	}
	return levels
}

// An artifact is a file that a run says something about.
type artifact struct {
	Location *artifactLocation `json:"location"`
	Roles    []string          `json:"roles"`
}

// analysed counts the files that were analysed. A list without roles may be of the
// files with results only, so that an empty one says nothing.
func analysed(all []artifact) int {
	targets, roles := 0, 0
	for _, a := range all {
		if slices.Contains(a.Roles, "analysisTarget") {
			targets++
		}
		roles += len(a.Roles)
	}
	switch {
	case roles > 0 && targets > 0:
		return targets
	case len(all) > 0:
		return len(all)
	}
	return -1
}

// imageOf is the container image that Trivy says it scanned.
func imageOf(r *gosarif.Run) string {
	if r.Properties == nil {
		return ""
	}
	name, _ := r.Properties.Properties["imageName"].(string)
	if digests, ok := r.Properties.Properties["repoDigests"].([]any); ok && name != "" && len(digests) > 0 {
		if digest, ok := digests[0].(string); ok {
			name = digest
		}
	}
	return line(name, maxTitle)
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// slug makes a scanner's name of a tool's: "Semgrep OSS" becomes "semgrep-oss".
func slug(tool string) string {
	return cmp.Or(strings.Trim(notInName.ReplaceAllString(strings.ToLower(tool), "-"), "-"), "unnamed")
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
