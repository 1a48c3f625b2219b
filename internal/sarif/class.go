package sarif

import (
	"regexp"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/sarif/ids"
)

// tools are classes by a part of the tool's name in lower case, the first that
// matches. Tools that report several kinds are not here.
var tools = []struct {
	part  string
	class finding.Class
}{
	{"gitleaks", finding.ClassSecret}, {"trufflehog", finding.ClassSecret}, {"detect-secrets", finding.ClassSecret}, {"ggshield", finding.ClassSecret},
	{"gitguardian", finding.ClassSecret}, {"secret", finding.ClassSecret},
	{"snyk container", finding.ClassImage}, {"snyk iac", finding.ClassConfig}, {"snyk code", finding.ClassCode}, {"snykcode", finding.ClassCode}, {"snyk", finding.ClassDependency},
	{"osv", finding.ClassDependency}, {"npm", finding.ClassDependency}, {"govulncheck", finding.ClassDependency}, {"grype", finding.ClassDependency},
	{"dependency-check", finding.ClassDependency}, {"pip-audit", finding.ClassDependency}, {"cargo-audit", finding.ClassDependency},
	{"zizmor", finding.ClassWorkflow}, {"actionlint", finding.ClassWorkflow}, {"poutine", finding.ClassWorkflow},
	{"hadolint", finding.ClassConfig}, {"checkov", finding.ClassConfig}, {"tfsec", finding.ClassConfig}, {"kics", finding.ClassConfig},
	{"terrascan", finding.ClassConfig}, {"kubesec", finding.ClassConfig}, {"kube-linter", finding.ClassConfig}, {"kubelinter", finding.ClassConfig},
	{"testssl", finding.ClassNetwork}, {"zap", finding.ClassNetwork}, {"nuclei", finding.ClassNetwork},
}

// classOfTool is the class of all results of a tool, "" if it reports several.
func classOfTool(name string) finding.Class {
	name = strings.ToLower(name)
	for _, t := range tools {
		if strings.Contains(name, t.part) {
			return t.class
		}
	}
	return ""
}

// tagged are classes by a tag of the rule, in lower case.
var tagged = map[string]finding.Class{
	"secret": finding.ClassSecret, "secrets": finding.ClassSecret, "misconfiguration": finding.ClassConfig, "iac": finding.ClassConfig,
	"dockerfile": finding.ClassConfig, "terraform": finding.ClassConfig, "kubernetes": finding.ClassConfig, "vulnerability": finding.ClassDependency,
}

var (
	misconfiguration = regexp.MustCompile(`^(AVD-|DS-?\d|KSV-?\d|AWS-\d|CKV\d?_|DL\d{4}$)`)
	ofSecrets        = regexp.MustCompile(`(^|[./_-])secrets?([./_-]|$)`)
)

// classOf is the class of a result: what the caller says, what the rule is, what the
// tool does, what the rule's tags say; else it is about code.
func (w *worker) classOf(s *finding.Sighting, about described, r *result) finding.Class {
	if w.options.Class != "" {
		return w.options.Class
	}
	class := w.class
	switch {
	case class != "":
	case ids.Advisory(s.Rule):
		class = finding.ClassDependency
	case misconfiguration.MatchString(s.Rule):
		class = finding.ClassConfig
	case ofSecrets.MatchString(strings.ToLower(s.Rule)):
		class = finding.ClassSecret
	default:
		class = finding.ClassCode
		for _, tag := range slices.Concat(about.tags, r.Properties.Tags) {
			if c := tagged[strings.ToLower(tag)]; c != "" {
				class = c
				break
			}
		}
	}
	if class == finding.ClassDependency && w.image != "" {
		class = finding.ClassImage
	}
	if class == finding.ClassCode && strings.HasPrefix(s.Location.Path, ".github/workflows/") {
		class = finding.ClassWorkflow
	}
	return class
}

// weaknesses are the CWE of a rule and of a result, each once, in the order found.
func (w *worker) weaknesses(ofRule []string, r *result) []string {
	var all []string
	for _, text := range slices.Concat(ofRule, texts(r.Properties.CWE), r.Properties.Tags) {
		if c := ids.Weakness(text); c != "" && !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	for _, ref := range r.Taxa {
		if c := w.cwe.weakness(ref); c != "" && !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	return all
}

// credential reports whether a weakness is a credential in the source, whose line then
// has one.
func credential(cwe []string) bool {
	return slices.ContainsFunc(cwe, func(c string) bool {
		return slices.Contains([]string{"CWE-259", "CWE-312", "CWE-321", "CWE-540", "CWE-547", "CWE-798"}, c)
	})
}
