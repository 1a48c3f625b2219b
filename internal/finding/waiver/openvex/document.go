// Package openvex reads statements of OpenVEX documents as waivers, and writes
// waived findings as such a document.
//
// A statement that a product is not affected by a vulnerability, or that it has the
// fix, becomes a waiver; one that it is affected, or that this is not known yet,
// takes back what an older statement said. Documents are as strict as the file of
// waivers: what is not understood is refused, so that a misspelled key does not make
// a statement wider than it is.
//
// The types follow https://github.com/openvex/spec (OPENVEX-SPEC.md and
// openvex_json_schema.json, version 0.2.0).
package openvex

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/jsonkeys"
)

// context is what the "@context" of a document begins with; before version 1.0 of
// the specification it may have a version behind it.
const (
	context    = "https://openvex.dev/ns"
	newContext = "https://openvex.dev/ns/v0.2.0"
	maxFile    = 16 << 20
	// tooling marks what Write wrote. Read refuses it: its time is that of the scan, so
	// that a waiver would renew itself.
	tooling = "candlefish/deploy-action security-gate"
)

type document struct {
	Context     string      `json:"@context"`
	ID          string      `json:"@id"`
	Author      string      `json:"author"`
	Role        string      `json:"role,omitempty"`
	Timestamp   *time.Time  `json:"timestamp"`
	LastUpdated *time.Time  `json:"last_updated,omitempty"`
	Version     int         `json:"version"`
	Tooling     string      `json:"tooling,omitempty"`
	Supplier    string      `json:"supplier,omitempty"`
	Statements  []statement `json:"statements"`
}

type statement struct {
	ID              string        `json:"@id,omitempty"`
	Version         int           `json:"version,omitempty"`
	Vulnerability   vulnerability `json:"vulnerability"`
	Timestamp       *time.Time    `json:"timestamp,omitempty"`
	LastUpdated     *time.Time    `json:"last_updated,omitempty"`
	Products        []product     `json:"products,omitempty"`
	Status          string        `json:"status"`
	Supplier        string        `json:"supplier,omitempty"`
	StatusNotes     string        `json:"status_notes,omitempty"`
	Justification   string        `json:"justification,omitempty"`
	ImpactStatement string        `json:"impact_statement,omitempty"`
	ActionStatement string        `json:"action_statement,omitempty"`
	ActionTimestamp *time.Time    `json:"action_statement_timestamp,omitempty"`
}

type vulnerability struct {
	ID          string   `json:"@id,omitempty"`
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Aliases     []string `json:"aliases,omitempty"`
}

type product struct {
	component
	Subcomponents []component `json:"subcomponents,omitempty"`
}

type component struct {
	ID          string            `json:"@id,omitempty"`
	Identifiers map[string]string `json:"identifiers,omitempty"`
	Hashes      map[string]string `json:"hashes,omitempty"`
	Supplier    string            `json:"supplier,omitempty"`
}

// names returns what a component may be known by.
func (c component) names() []string {
	var all []string
	for _, name := range []string{c.ID, c.Identifiers["purl"]} {
		if name != "" && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// Statuses of statements.
const (
	notAffected        = "not_affected"
	affected           = "affected"
	fixed              = "fixed"
	underInvestigation = "under_investigation"
)

var (
	statuses       = []string{notAffected, affected, fixed, underInvestigation}
	justifications = []string{"component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path", "vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist"}
)

// parse reads a document. One error lists all its faults.
func parse(name string, raw []byte) (document, error) {
	refuse := func(err error) error { return fmt.Errorf("%s: no OpenVEX document: %w", name, err) }
	if len(raw) > maxFile {
		return document{}, refuse(fmt.Errorf("it has %d bytes: want at most %d", len(raw), maxFile))
	}
	if err := jsonkeys.UniqueFold(raw); err != nil {
		return document{}, refuse(err)
	}
	var d document
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return document{}, refuse(err)
	}
	wrong := d.wrong()
	for i, s := range d.Statements {
		for _, problem := range s.wrong() {
			wrong = append(wrong, fmt.Sprintf("statement %d: %s", i+1, problem))
		}
	}
	var all []error
	for _, problem := range wrong {
		all = append(all, fmt.Errorf("%s: %s", name, problem))
	}
	return d, errors.Join(all...)
}

// wrong says what is wrong with a document, beside its statements.
func (d document) wrong() []string {
	var wrong []string
	add := func(bad bool, text string) {
		if bad {
			wrong = append(wrong, text)
		}
	}
	add(d.Context != context && d.Context != newContext, fmt.Sprintf("@context %q: want %s", d.Context, newContext))
	add(d.ID == "", "@id is missing")
	add(strings.TrimSpace(d.Author) == "", "author is missing: a waiver has an owner")
	add(d.Timestamp == nil || d.Timestamp.IsZero(), "timestamp is missing: the age of a waiver counts from it")
	add(d.Version < 1, "version is missing: want a number from 1")
	add(d.Tooling == tooling, "a scan wrote it from waivers: waive in the file of waivers, not by what a scan wrote")
	add(len(d.Statements) == 0, "statements is missing: want at least one")
	return wrong
}

func (s statement) wrong() []string {
	var wrong []string
	add := func(bad bool, text string) {
		if bad {
			wrong = append(wrong, text)
		}
	}
	add(strings.TrimSpace(s.Vulnerability.Name) == "", "the name of the vulnerability is missing")
	add(!slices.Contains(statuses, s.Status), fmt.Sprintf("status %q: want one of %s", s.Status, strings.Join(statuses, ", ")))
	add(s.Justification != "" && !slices.Contains(justifications, s.Justification), fmt.Sprintf("justification %q: want one of %s", s.Justification, strings.Join(justifications, ", ")))
	add(s.Status == notAffected && s.Justification == "" && strings.TrimSpace(s.ImpactStatement) == "", "not_affected needs a justification or an impact_statement")
	add(s.Status != notAffected && (s.Justification != "" || s.ImpactStatement != ""), "justification and impact_statement are for not_affected")
	add(s.Status == affected && s.ActionStatement == "", "affected needs an action_statement")
	add(len(s.Products) == 0, "products is missing")
	for _, p := range s.Products {
		add(len(p.names()) == 0 && len(p.Hashes) == 0, "a product has neither @id nor identifiers nor hashes")
	}
	return wrong
}
