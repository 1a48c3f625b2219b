package openvex

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/finding/waiver"
)

// Write returns the waived vulnerabilities of packages as an OpenVEX document, and
// nil if there is none. LeftOut is how many of them it does not have: those without
// a package URL, and those whose vulnerability is open in the same package elsewhere,
// of which the statement would not be true.
func Write(r verdict.Result, author string) (raw []byte, leftOut int) {
	at := r.At.UTC().Truncate(time.Second)
	d := document{Context: newContext, Author: author, Timestamp: &at, Version: 1, Tooling: tooling}
	open := openPackages(r.Findings)
	for _, f := range r.Findings {
		if !f.Waived.Holds() || f.Class != finding.ClassDependency && f.Class != finding.ClassImage || len(f.IDs) == 0 {
			continue
		}
		purls := purlsOf(f)
		if len(purls) == 0 || slices.ContainsFunc(f.IDs, func(id string) bool {
			return slices.ContainsFunc(purls, func(purl string) bool { return open[id+" "+unversioned(purl)] })
		}) {
			leftOut++
			continue
		}
		d.Statements = append(d.Statements, newStatement(f, productsOf(purls, r.Place)))
	}
	if len(d.Statements) == 0 {
		return nil, leftOut
	}
	d.ID = "https://openvex.dev/docs/public/vex-" + hash(d)
	return encode(d), leftOut
}

// openPackages returns the vulnerabilities that no waiver holds for, each with its
// package.
func openPackages(findings []finding.Finding) map[string]bool {
	open := map[string]bool{}
	for _, f := range findings {
		if f.Waived.Holds() {
			continue
		}
		for _, purl := range purlsOf(f) {
			for _, id := range f.IDs {
				open[id+" "+unversioned(purl)] = true
			}
		}
	}
	return open
}

// purlsOf returns the packages of a finding.
func purlsOf(f finding.Finding) []string {
	var all []string
	for _, s := range f.Sightings {
		if purl := waiver.PURL(s.Package); purl != "" {
			all = append(all, purl)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// productsOf returns the repository with its packages as subcomponents, or the
// packages if the repository is not known.
func productsOf(purls []string, place verdict.Place) []product {
	var parts []component
	for _, purl := range purls {
		parts = append(parts, component{ID: purl})
	}
	if place.Repository == "" {
		var all []product
		for _, c := range parts {
			all = append(all, product{component: c})
		}
		return all
	}
	id := "pkg:github/" + strings.ToLower(place.Repository)
	if place.Commit != "" {
		id += "@" + place.Commit
	}
	return []product{{component: component{ID: id}, Subcomponents: parts}}
}

// newStatement says of a waived finding what its waiver says: that the product is
// not affected, or that it is and what will be done.
func newStatement(f finding.Finding, products []product) statement {
	s := statement{Vulnerability: vulnerability{Name: f.IDs[0], Aliases: f.IDs[1:]}, Products: products}
	s.StatusNotes = "waived by " + f.Waived.By
	if f.Waived.Owner != "" {
		s.StatusNotes += ", owner " + f.Waived.Owner
	}
	if !f.Waived.Expires.IsZero() {
		s.StatusNotes += fmt.Sprintf(", until %s", f.Waived.Expires.Format(time.DateOnly))
	}
	switch f.Waived.Kind {
	case waiver.NotFeasible, waiver.ToolNoise, waiver.NotForRelease:
		s.Status, s.ImpactStatement = notAffected, f.Waived.Reason
	default:
		s.Status, s.ActionStatement = affected, f.Waived.Reason
	}
	return s
}

// hash names a document by what it says.
func hash(d document) string {
	sum := sha256.Sum256(encode(d))
	return hex.EncodeToString(sum[:])
}

func encode(d document) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(d); err != nil {
		panic("openvex: " + err.Error()) // strings, numbers and times
	}
	return b.Bytes()
}
