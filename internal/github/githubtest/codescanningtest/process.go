package codescanningtest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A file is the part of SARIF that GitHub reads.
type file struct {
	Version string
	Runs    *[]run
}

type run struct {
	Tool struct {
		Driver struct {
			Name, FullName, Version, SemanticVersion, GUID string
			Rules                                          []rule
		}
	}
	AutomationDetails struct{ ID string }
	Results           *[]result
}

type rule struct {
	ID               string
	ShortDescription struct{ Text string }
	Properties       struct {
		Tags     []string
		Severity any `json:"security-severity"`
	}
}

type result struct {
	RuleID              string
	RuleIndex           *int
	Message             struct{ Text string }
	PartialFingerprints map[string]string
	Locations           []struct {
		PhysicalLocation struct {
			ArtifactLocation struct{ URI string }
			Region           *struct{ StartLine int }
		}
	}
	CodeFlows []struct {
		ThreadFlows []struct{ Locations []json.RawMessage }
	}
}

// process looks into a file as GitHub does after the upload.
func process(raw []byte, scheme string) ([]Analysis, []string) {
	var f file
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, []string{"Invalid SARIF. JSON syntax error: " + err.Error()}
	}
	switch {
	case f.Version != "2.1.0":
		return nil, []string{fmt.Sprintf("Invalid SARIF. Version %q is not supported", f.Version)}
	case f.Runs == nil:
		return nil, []string{"Invalid SARIF. Missing 'runs'"}
	case len(*f.Runs) > 20:
		return nil, []string{fmt.Sprintf("rejecting SARIF, as there are more runs than allowed (%d > 20)", len(*f.Runs))}
	}
	var all []Analysis
	var errs []string
	seen := map[string]bool{}
	for i, r := range *f.Runs {
		d := r.Tool.Driver
		category := ""
		if j := strings.LastIndexByte(r.AutomationDetails.ID, '/'); j >= 0 {
			category = r.AutomationDetails.ID[:j]
		}
		// Since July 2025, https://github.blog/changelog/2025-07-21-code-scanning-will-stop-combining-multiple-sarif-runs-uploaded-in-the-same-sarif-file/.
		key := strings.Join([]string{d.Name, d.FullName, d.Version, d.SemanticVersion, d.GUID, r.AutomationDetails.ID}, "\x00")
		if seen[key] {
			errs = append(errs, fmt.Sprintf("The CodeQL Action does not support uploading multiple SARIF runs with the same category (run %d: tool %q, category %q)", i, d.Name, category))
		}
		seen[key] = true
		a, wrong := analyse(r, category, scheme)
		all, errs = append(all, a), append(errs, wrong...)
	}
	return all, errs
}

func analyse(r run, category, scheme string) (Analysis, []string) {
	d := r.Tool.Driver
	a := Analysis{Tool: d.Name, Category: category}
	var errs []string
	wrong := func(format string, args ...any) {
		if len(errs) < 20 {
			errs = append(errs, fmt.Sprintf(format, args...))
		}
	}
	switch {
	case d.Name == "":
		wrong("Invalid SARIF. The run has no tool.driver.name")
	case r.Results == nil:
		wrong("Invalid SARIF. Missing 'results' array in run.")
		return a, errs
	case len(*r.Results) > 25_000:
		wrong("rejecting SARIF, as there are more results per run than allowed (%d > 25000)", len(*r.Results))
	case len(d.Rules) > 25_000:
		wrong("rejecting SARIF, as there are more rules per run than allowed (%d > 25000)", len(d.Rules))
	}
	for _, one := range d.Rules {
		if len(one.Properties.Tags) > 20 {
			wrong("rejecting SARIF, as there are more tags per rule than allowed (%d > 20)", len(one.Properties.Tags))
		}
		if _, isText := one.Properties.Severity.(string); one.Properties.Severity != nil && !isText {
			wrong("Invalid SARIF. security-severity of rule %q is no string", one.ID)
		}
		if one.ID == "" || one.ShortDescription.Text == "" {
			wrong("Invalid SARIF. A rule has no id or no shortDescription: %q", one.ID)
		}
	}
	for i, one := range *r.Results {
		alert, why := show(one, d.Rules, scheme)
		if why != "" {
			wrong("result %d: %s", i, why)
			continue
		}
		alert.Tool, alert.Category = d.Name, category
		a.Alerts = append(a.Alerts, alert)
	}
	return a, errs
}

var absolute = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*):`)

// show makes an alert of a result, or says why it cannot be shown.
func show(r result, rules []rule, scheme string) (Alert, string) {
	switch {
	case r.Message.Text == "":
		return Alert{}, "no message"
	case len(r.Locations) == 0:
		return Alert{}, "locationFromSarifResult: expected at least one location"
	case len(r.Locations) > 1000:
		return Alert{}, fmt.Sprintf("more locations than allowed (%d > 1000)", len(r.Locations))
	}
	steps := 0
	for _, flow := range r.CodeFlows {
		for _, thread := range flow.ThreadFlows {
			steps += len(thread.Locations)
		}
	}
	if steps > 10_000 {
		return Alert{}, fmt.Sprintf("more thread flow locations than allowed (%d > 10000)", steps)
	}
	at := r.Locations[0].PhysicalLocation
	uri := at.ArtifactLocation.URI
	a := Alert{Rule: r.RuleID, Path: uri, Hash: r.PartialFingerprints["primaryLocationLineHash"], Message: r.Message.Text, Line: 1}
	if m := absolute.FindStringSubmatch(uri); m != nil && m[1] != scheme {
		return Alert{}, fmt.Sprintf("locationFromSarifResult: the scheme %q of %q does not match the scheme %q of the checkout URI", m[1], uri, scheme)
	}
	if uri == "" || strings.HasPrefix(uri, "/") || slices.Contains(strings.Split(uri, "/"), "..") {
		return Alert{}, fmt.Sprintf("%q is no path in the repository", uri)
	}
	if at.Region != nil {
		if a.Line = at.Region.StartLine; a.Line < 1 {
			return Alert{}, fmt.Sprintf("startLine %d", a.Line)
		}
	}
	if i := r.RuleIndex; i != nil && *i >= 0 {
		if *i >= len(rules) || r.RuleID != "" && rules[*i].ID != r.RuleID {
			return Alert{}, fmt.Sprintf("ruleIndex %d is not of rule %q", *i, r.RuleID)
		}
		a.Rule, a.Severity = rules[*i].ID, severity(rules[*i])
	}
	return a, ""
}

// severity is GitHub's word for a security-severity.
func severity(r rule) string {
	text, _ := r.Properties.Severity.(string)
	score, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || score <= 0:
		return ""
	case score > 9:
		return "critical"
	case score >= 7:
		return "high"
	case score >= 4:
		return "medium"
	}
	return "low"
}
