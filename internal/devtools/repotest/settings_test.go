package repotest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/candlefish/deploy-action/internal/scanner/scanners"
)

// Every setting of a scanner is described.
func TestSettingsAreDescribed(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs", "security-tools.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range scanners.Settings() {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("docs/security-tools.md does not describe the setting %s", name)
		}
	}
}
