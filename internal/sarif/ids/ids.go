// Package ids finds the names of advisories, weaknesses and packages in the texts of
// tools: rules, tags and messages.
package ids

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/finding"
)

var cweNumber = regexp.MustCompile(`(?i)^(?:external/cwe/)?cwe-0*([1-9]\d{0,5})\b`)

// Weakness reads one of "external/cwe/cwe-079", "CWE-79", "CWE-79: Cross-site ...".
func Weakness(text string) string {
	if len(text) < 5 || text[0]|0x20 != 'c' && text[0]|0x20 != 'e' {
		return "" // what most tags are; the search is slow
	}
	if m := cweNumber.FindStringSubmatch(text); m != nil {
		return "CWE-" + m[1]
	}
	return ""
}

var advisoryID = regexp.MustCompile(`(?i)\b(CVE-\d{4}-\d{4,}|GHSA(?:-[23456789cfghjmpqrvwx]{4}){3}|GO-\d{4}-\d{4,}|PYSEC-\d{4}-\d+|RUSTSEC-\d{4}-\d{4}|OSV-\d{4}-\d+|SNYK-[A-Z]+-[A-Z0-9]+-\d+)\b`)

// maybe reports whether a text can have the id of an advisory. Most have none, and
// the search is slow.
func maybe(text string) bool {
	return strings.Count(text, "-") > 1 && strings.ContainsAny(text, "0123456789")
}

// Advisory reports whether the name of a rule is that of an advisory.
func Advisory(rule string) bool { return maybe(rule) && advisoryID.MatchString(rule) }

// Advisories are the identifiers of advisories in the name of a rule and in its tags, the
// rule's first.
func Advisories(names, tags []string) []string {
	var all []string
	for _, text := range slices.Concat(names, tags) {
		if !maybe(text) {
			continue
		}
		for _, id := range advisoryID.FindAllString(text, -1) {
			if id = canonical(id); !slices.Contains(all, id) {
				all = append(all, id)
			}
		}
	}
	return all
}

func canonical(id string) string {
	if rest, ok := strings.CutPrefix(strings.ToUpper(id), "GHSA"); ok {
		return "GHSA" + strings.ToLower(rest)
	}
	return strings.ToUpper(id)
}

var (
	packageLine = regexp.MustCompile(`(?m)^Package: (\S{1,200})[ \t]*\r?$`)
	versionLine = regexp.MustCompile(`(?m)^Installed Version: (\S{1,100})[ \t]*\r?$`)
	fixedLine   = regexp.MustCompile(`(?m)^Fixed Version: (\S{1,100})[ \t]*\r?$`)
)

// Package reads the package out of the message of an advisory in the words of Trivy
// (pkg/report/sarif.go), the only place where its SARIF has it.
func Package(text, rule string) finding.Package {
	if !Advisory(rule) || !strings.Contains(text, "Installed Version: ") {
		return finding.Package{}
	}
	name, version := packageLine.FindStringSubmatch(text), versionLine.FindStringSubmatch(text)
	if name == nil || version == nil {
		return finding.Package{}
	}
	p := finding.Package{Name: name[1], Version: version[1]}
	if fixed := fixedLine.FindStringSubmatch(text); fixed != nil {
		p.Fixed = fixed[1]
	}
	return p
}

// Ecosystem is OSV's name of what a lock file is for, "" if that is not known.
func Ecosystem(file string) string {
	switch path.Base(file) {
	case "package-lock.json", "yarn.lock", "pnpm-lock.yaml", "npm-shrinkwrap.json", "package.json":
		return "npm"
	case "go.mod", "go.sum":
		return "Go"
	case "requirements.txt", "poetry.lock", "Pipfile.lock", "uv.lock":
		return "PyPI"
	case "Cargo.lock":
		return "crates.io"
	case "Gemfile.lock":
		return "RubyGems"
	case "pom.xml":
		return "Maven"
	case "composer.lock":
		return "Packagist"
	}
	return ""
}
