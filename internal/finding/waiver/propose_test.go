package waiver

import (
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
)

// The entry that an explanation shows is refused until people fill it in; then it
// waives that finding.
func TestProposedWaiver(t *testing.T) {
	t.Parallel()
	f := finding.Finding{ID: "123456789012", Fingerprints: []string{"123456789012"}, Commits: []string{"0000111122223333"}, Sightings: []finding.Sighting{{Tool: "t"}}}
	text := "version: 1\nwaivers:\n" + verdict.WaiverYAML(f, now)
	_, err := Parse(File, []byte(text))
	if err == nil || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), File+":5: reason") || !strings.Contains(err.Error(), File+":6: owner") {
		t.Fatalf("the entry as it is shown: %v", err)
	}
	text = strings.Replace(text, `reason: ""`, "reason: revoked in January, kept as an example", 1)
	waivers, err := Parse(File, []byte(strings.Replace(text, `owner: ""`, `owner: "@platform"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if all, notes := (Policy{}).Apply([]finding.Finding{f}, waivers, now); all[0].Waived.By != File+":3" || said(notes) != "" {
		t.Errorf("waived by %q, notes %s", all[0].Waived.By, said(notes))
	}
}
