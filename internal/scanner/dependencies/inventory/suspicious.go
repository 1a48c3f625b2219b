package inventory

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/isolate/output"
)

// The rules.
const (
	ruleMalicious = "malicious-version"
	ruleName      = "name-like-a-popular-one"
	ruleSource    = "source-without-integrity"
	ruleCommit    = "source-at-a-commit"
	ruleUnlocked  = "no-lock-file"
	ruleIntegrity = "no-integrity"
	ruleScript    = "install-script"
	ruleWord      = "suspicious-word"
)

// A rule has a severity and a title.
type rule struct{ word, title string }

// rules by name. What decides a severity:
//   - what ran a malicious version must be taken for broken into: critical;
//   - one letter is a slip or an attack, and nobody but a person can tell which: medium;
//   - what can be exchanged by whoever has the server or the branch: medium;
//   - no lock file: nothing is known to be bad, and nothing could be looked at: medium;
//   - a commit fixes the content, and a registry's checks and takedowns are missing: low;
//   - npm install checks no hash that is missing, and the registry still does: low;
//   - install scripts and words are frequent and mostly meant: info.
var rules = map[string]rule{
	ruleMalicious: {"critical", "A version that is known to be malicious"},
	ruleName:      {"medium", "The name is one letter away from a popular package"},
	ruleSource:    {"medium", "A package comes from no registry and has no hash"},
	ruleUnlocked:  {"medium", "Packages without a lock file"},
	ruleCommit:    {"low", "A package comes from a commit of a git repository"},
	ruleIntegrity: {"low", "Packages of which no hash is recorded"},
	ruleScript:    {"info", "Packages that run a script when they are installed"},
	ruleWord:      {"info", "Packages with a word in their name that malware has too"},
}

// A suspect is one rule that a package breaks.
type suspect struct {
	rule, why string
	ids       []string
}

// together are rules of which a file has one finding, with all packages in it: each
// for itself would hide the others.
var together = []string{ruleIntegrity, ruleScript, ruleWord}

// suspicious returns what looks wrong in the packages of one file.
func suspicious(file string, packages []Listed) []finding.Sighting {
	var sightings []finding.Sighting
	names := map[string][]string{}
	for _, p := range packages {
		for _, s := range p.suspicions() {
			if slices.Contains(together, s.rule) {
				names[s.rule] = append(names[s.rule], plain(output.Cut(p.Name, 100)))
				continue
			}
			one := suspicion(s.rule, p.File, strings.TrimSpace(fmt.Sprintf("%s %s", plain(output.Cut(p.Name, 200)), plain(output.Cut(p.Version, 100))))+": "+s.why)
			one.Location.Line, one.IDs = p.line, s.ids
			one.Package = finding.Package{Ecosystem: p.Ecosystem, Name: p.Name, Version: p.Version}
			if len(s.ids) > 0 {
				one.Help = "https://github.com/advisories/" + s.ids[0]
			}
			sightings = append(sightings, one)
		}
	}
	for _, rule := range together {
		if all := slices.Compact(slices.Sorted(slices.Values(names[rule]))); len(all) > 0 {
			sightings = append(sightings, suspicion(rule, file, output.Some(rules[rule].title+" (%d)", all)))
		}
	}
	return sightings
}

func suspicion(rule, file, message string) finding.Sighting {
	return finding.Sighting{
		Tool: "inventory", Rule: rule, Class: finding.ClassDependency, Title: rules[rule].title, Message: message,
		Rating: finding.Rating{Word: rules[rule].word}, Location: finding.Location{Path: file},
	}
}

// suspicions returns the rules that a package breaks.
func (p Listed) suspicions() []suspect {
	var all []suspect
	if id := p.malicious(); id != "" {
		all = append(all, suspect{ruleMalicious, "this version is malicious: take what it could read for stolen, and replace it", []string{id}})
	}
	if like := p.imitates(); like != "" {
		all = append(all, suspect{ruleName, "is it meant, and not " + like + "?", nil})
	}
	if rule := p.origin(); rule != "" {
		all = append(all, suspect{rule, "it is fetched from " + plain(output.Cut(p.Source, 300)), nil})
	} else if !p.Integrity && !p.bundled && (p.Version != "" || p.Ecosystem == "npm") && p.Ecosystem != "PyPI" {
		// pip's files have hashes only where somebody asks for them.
		all = append(all, suspect{rule: ruleIntegrity})
	}
	if p.InstallScript {
		all = append(all, suspect{rule: ruleScript})
	}
	if p.worded() {
		all = append(all, suspect{rule: ruleWord})
	}
	return all
}

// malicious returns the advisory of a malicious version, or "".
func (p Listed) malicious() string {
	if p.Ecosystem != "npm" {
		return ""
	}
	known := malicious[p.Name]
	if slices.Contains(known.versions, p.Version) {
		return known.advisory
	}
	return ""
}

// imitates returns the popular package whose name is one edit away, or "". Names in
// a scope belong to the scope's owner; of short names too many are alike.
func (p Listed) imitates() string {
	if p.Ecosystem != "npm" || len(p.Name) < 5 || strings.Contains(p.Name, "/") || slices.Contains(popular, p.Name) || slices.Contains(different, p.Name) {
		return ""
	}
	for _, name := range popular {
		if oneEdit(p.Name, name) {
			return name
		}
	}
	return ""
}

// oneEdit reports whether one letter added, left out or exchanged, or two neighbours
// swapped, make one name of the other.
func oneEdit(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 || a == b {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	swapped := i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
	return swapped || a[i+1:] == b[i+1:]
}

// origin returns the rule for where a package comes from; "" for a registry.
func (p Listed) origin() string {
	u, err := url.Parse(strings.TrimPrefix(p.Source, "git+"))
	switch {
	case p.Source == "" || p.bundled || strings.HasPrefix(p.Source, "file:") || strings.HasPrefix(p.Source, "link:"):
		return ""
	case err == nil && isGit(p.Source) && commit.MatchString(u.Fragment):
		return ruleCommit
	case err == nil && archive.MatchString(u.Path) && u.Host == "codeload.github.com":
		return ruleCommit
	case isGit(p.Source):
		return ruleSource
	case p.Integrity || err == nil && u.Scheme == "https" && (strings.Contains(u.Path, "/-/") || u.Host == "npm.pkg.github.com"):
		return "" // what is wrong is a missing hash at most
	}
	return ruleSource
}

// archive matches the path of an archive of one commit.
var archive = regexp.MustCompile(`/tar\.gz/[0-9a-f]{40}$`)

// isGit reports whether a source is a git repository.
func isGit(source string) bool {
	at, _, _ := strings.Cut(source, "#")
	return strings.HasPrefix(at, "git") || strings.HasPrefix(at, "ssh:") || strings.HasSuffix(at, ".git")
}

// words are what the names of packages of thieves have often had, as whole words.
// Source: the checks of the project that this gate takes the place of.
var words = []string{"bitcoin", "crypto", "miner", "eval", "exec"}

// worded reports whether the name has one of the words; "executor" has none, and
// "bitcoin" is never a part of another word.
func (p Listed) worded() bool {
	if p.Ecosystem == "Go" { // paths with owners and folders
		return false
	}
	name := strings.ToLower(p.Name)
	return strings.Contains(name, "bitcoin") || strings.Contains(name, "cryptominer") || strings.Contains(name, "coinminer") ||
		slices.ContainsFunc(strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("-_./@", r) }),
			func(part string) bool { return slices.Contains(words, part) })
}
