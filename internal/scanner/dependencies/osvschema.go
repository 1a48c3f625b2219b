package dependencies

import (
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/scanner/advisory"
)

// osvAdvisory is what we read of an advisory in the OSV schema. Source:
// https://ossf.github.io/osv-schema/
type osvAdvisory struct {
	ID        string    `json:"id"`
	Aliases   []string  `json:"aliases"`
	Summary   string    `json:"summary"`
	Details   string    `json:"details"`
	Published time.Time `json:"published"`
	Withdrawn time.Time `json:"withdrawn"`
	Severity  []struct {
		Type  string `json:"type"`
		Score string `json:"score"`
	} `json:"severity"`
	Affected []struct {
		Package struct {
			Name      string `json:"name"`
			Ecosystem string `json:"ecosystem"`
		} `json:"package"`
		Ranges []struct {
			Events []map[string]string `json:"events"`
		} `json:"ranges"`
	} `json:"affected"`
	Specific struct {
		Severity any      `json:"severity"` // a word of GitHub; other databases have other things here
		CWE      []string `json:"cwe_ids"`
	} `json:"database_specific"`
}

// ids are the advisory's own identifier and its aliases.
func (a *osvAdvisory) ids() []string {
	ids := []string{a.ID}
	for _, alias := range a.Aliases {
		if !slices.Contains(ids, alias) {
			ids = append(ids, alias)
		}
	}
	return ids
}

// title is the summary, or the first line of the details.
func (a *osvAdvisory) title() string {
	if a.Summary != "" {
		return a.Summary
	}
	if line, _, _ := strings.Cut(strings.TrimSpace(a.Details), "\n"); line != "" {
		return line
	}
	return a.ID
}

// rating is the word of the database and the greatest score of its vectors.
func (a *osvAdvisory) rating() (word string, score float64) {
	for _, s := range a.Severity {
		score = max(score, advisory.Score(s.Score))
	}
	word, _ = a.Specific.Severity.(string)
	return strings.ToLower(word), score
}

// fixed is the last version that fixes a package, where there is one range only;
// which of several branches the project is on is not known here.
func (a *osvAdvisory) fixed(name string) string {
	var fixes []string
	for _, affected := range a.Affected {
		if affected.Package.Name != name {
			continue
		}
		for _, r := range affected.Ranges {
			for _, event := range r.Events {
				if fix := event["fixed"]; fix != "" && len(fix) < 40 { // not a commit
					fixes = append(fixes, fix)
				}
			}
		}
	}
	slices.Sort(fixes)
	return strings.Join(slices.Compact(fixes), ", ")
}
