package repotest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/finding/waiver"
	"github.com/candlefish/deploy-action/internal/finding/waiver/openvex"
)

// hasWaivers reports whether a block is a file of waivers, which has a version as the
// analysis file has.
func (b block) hasWaivers() bool {
	return b.lang == "yaml" && strings.Contains(b.text, "\nwaivers:\n")
}

// Every file of waivers, OpenVEX document and list of budgets that the documents
// show is one.
func TestShownSecurityFiles(t *testing.T) {
	t.Parallel()
	shown := map[string]int{}
	budgets := regexp.MustCompile(`^([a-z.]+=(\d+|none)\n)+$`)
	for _, b := range blocks(t) {
		var err error
		switch {
		case b.hasWaivers():
			shown["waivers"]++
			_, err = waiver.Parse(waiver.File, []byte(b.text))
		case b.lang == "json" && strings.Contains(b.text, "openvex.dev"):
			shown["statements"]++
			place := verdict.Place{Repository: "example/shop"}
			var waivers []waiver.Waiver
			var notes []verdict.WaiverNote
			waivers, notes, err = openvex.Read([]openvex.File{{Name: "vex.json", Raw: []byte(b.text)}}, place, 0)
			if len(waivers) == 0 || len(notes) > 0 {
				t.Errorf("%s shows\n%s\nwhich waives %v: %v", b.file, b.text, waivers, notes)
			}
		case b.lang == "text" && budgets.MatchString(b.text):
			shown["budgets"]++
			_, err = verdict.NewPolicy("", strings.Split(b.text, "\n"))
		}
		if err != nil {
			t.Errorf("%s shows\n%s\n%v", b.file, b.text, err)
		}
	}
	for _, what := range []string{"waivers", "statements", "budgets"} {
		if shown[what] == 0 {
			t.Errorf("the documents show no %s", what)
		}
	}
}

// The table of what a level must contain is that of the code.
func TestShownNeeds(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs/security-gate.md"))
	if err != nil {
		t.Fatal(err)
	}
	want := "|---|---|---|\n"
	known := 0
	for _, level := range verdict.Levels() {
		needs := verdict.NeedsOf(level)
		for _, n := range needs[known:] {
			want += fmt.Sprintf("| %s | %s | %s |\n", n.What, strings.Join(n.Tools, ", "), level)
		}
		known = len(needs)
	}
	if !strings.Contains(string(text), want+"\n") {
		t.Errorf("docs/security-gate.md does not have this table:\n%s", want)
	}
}
