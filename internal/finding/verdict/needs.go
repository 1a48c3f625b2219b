package verdict

import (
	"fmt"
	"slices"
	"strings"
)

// Levels returns the levels, the shallowest first.
func Levels() []Level { return []Level{Quick, Standard, Deep} }

// NeedsOf returns what a level must contain; each contains the ones before it.
func NeedsOf(l Level) []Need {
	needs := []Need{
		{What: "secrets in commits and files", Tools: []string{"gitleaks"}},
		{What: "secrets in commits and files, by a second tool", Tools: []string{"trufflehog"}},
		{What: "secret patterns and .env files", Tools: []string{"patterns"}},
		{What: "npm dependencies", Tools: []string{"npm-audit", "osv-scanner"}, Exact: []string{"npm-audit"}},
		{What: "package inventory", Tools: []string{"inventory"}},
		{What: "workflows", Tools: []string{"actionlint", "zizmor"}},
	}
	if l == Quick {
		return needs
	}
	needs = append(needs,
		Need{What: "dependencies against advisories", Tools: []string{"osv-scanner", "trivy-fs", "snyk"}},
		Need{What: "reachable Go vulnerabilities", Tools: []string{"govulncheck"}},
		Need{What: "code", Tools: []string{"eslint", "semgrep", "codeql"}},
		Need{What: "Dockerfiles", Tools: []string{"hadolint", "trivy-config"}, Exact: []string{"hadolint"}},
		Need{What: "configuration", Tools: []string{"trivy-config"}},
		Need{What: "images", Tools: []string{"trivy-image"}},
	)
	if l == Standard {
		return needs
	}
	return append(needs,
		Need{What: "code in depth", Tools: []string{"semgrep", "codeql"}},
		Need{What: "hosts", Tools: []string{"tls"}},
		Need{What: "headers of hosts", Tools: []string{"headers"}},
	)
}

// nothingHere is Answered.By of a need that has nothing to look at.
const nothingHere = "nothing here is for it"

// answer says whether the tools meet a need. Several tools of one name are one
// tool: each must be healthy.
func answer(n Need, tools []Tool) Answered {
	a := Answered{Need: n}
	var lacks []string
	for _, name := range n.Tools {
		ok, lack := healthy(name, tools)
		if ok && !a.Met {
			a.Met, a.By = true, name
		}
		if !ok {
			lacks = append(lacks, lack)
		}
	}
	if a.Met {
		return a
	}
	exact := n.Exact
	if len(exact) == 0 {
		exact = n.Tools
	}
	if len(exact) > 0 && !slices.ContainsFunc(exact, func(name string) bool { return !notApplicable(name, tools) }) {
		a.Met, a.By = true, nothingHere
		return a
	}
	a.Why = strings.Join(lacks, "; ")
	if a.Why == "" {
		a.Why = "no tool can meet it"
	}
	return a
}

// healthy reports whether there is a tool of the name and all of them are healthy,
// and if not, why.
func healthy(name string, tools []Tool) (bool, string) {
	found := false
	for _, t := range tools {
		if t.Name != name || t.Health == NotApplicable {
			continue
		}
		if t.Health != Healthy {
			return false, lack(t)
		}
		found = true
	}
	if found {
		return true, ""
	}
	if notApplicable(name, tools) {
		return false, fmt.Sprintf("%s: %s", name, NotApplicable)
	}
	return false, name + ": not part of this scan"
}

// lack says what is wrong with a tool.
func lack(t Tool) string {
	health := string(t.Health)
	if health == "" {
		health = "of unknown health"
	}
	if t.Why == "" {
		return t.Name + ": " + health
	}
	return t.Name + ": " + health + ", " + t.Why
}

func notApplicable(name string, tools []Tool) bool {
	found := false
	for _, t := range tools {
		if t.Name == name {
			if t.Health != NotApplicable {
				return false
			}
			found = true
		}
	}
	return found
}
