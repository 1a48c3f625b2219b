// Package advisory reads what advisories of vulnerabilities have in common:
// identifiers, CVSS vectors, versions.
package advisory

import (
	"regexp"
	"slices"
	"strings"

	gocvss30 "github.com/pandatix/go-cvss/30"
	gocvss31 "github.com/pandatix/go-cvss/31"
	gocvss40 "github.com/pandatix/go-cvss/40"
)

// id matches the identifiers that databases of vulnerabilities share.
var id = regexp.MustCompile(`\b(?:CVE-\d{4}-\d{4,}|GHSA(?:-[23456789cfghjmpqrvwx]{4}){3}|GO-\d{4}-\d{4,}|PYSEC-\d{4}-\d+|RUSTSEC-\d{4}-\d{4}|MAL-\d{4}-\d+)\b`)

// IDs returns the identifiers in texts, such as URLs of advisories, each once, in
// their order.
func IDs(texts ...string) []string {
	var ids []string
	for _, text := range texts {
		for _, found := range id.FindAllString(text, -1) {
			if !slices.Contains(ids, found) {
				ids = append(ids, found)
			}
		}
	}
	return ids
}

// Score returns the base score of a CVSS vector of version 3.0, 3.1 or 4.0, and 0
// for any other. Source: https://www.first.org/cvss/
func Score(vector string) float64 {
	switch {
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		if v, err := gocvss30.ParseVector(vector); err == nil {
			return v.BaseScore()
		}
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		if v, err := gocvss31.ParseVector(vector); err == nil {
			return v.BaseScore()
		}
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		if v, err := gocvss40.ParseVector(vector); err == nil {
			return v.Score()
		}
	}
	return 0
}

// Version returns a version as the OSV schema has it: those of Go have no v.
func Version(ecosystem, version string) string {
	if strings.EqualFold(ecosystem, "go") {
		version = strings.TrimPrefix(version, "go")
		return strings.TrimPrefix(version, "v")
	}
	return version
}
