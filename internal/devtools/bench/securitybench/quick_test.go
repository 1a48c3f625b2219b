package securitybench

import (
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/security/record"
	"github.com/candlefish/deploy-action/internal/security/securitytest"
)

// A scan in which a tool failed is no measurement of the level, and says so.
func TestQuickSaysWhatWasNotScanned(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"pass":         "The verdict was: pass.\n\nAll that the level needs was scanned.",
		"inconclusive": "The verdict was: inconclusive.\n\nNot scanned: secrets in commits and files (gitleaks: blind",
	} {
		raw, err := record.Marshal(securitytest.Cases()[name])
		if err != nil {
			t.Fatal(err)
		}
		s, err := quickSection(row{name: "security:quick", wall: 34 * time.Second, cpu: 50 * time.Second}, raw)
		if err != nil {
			t.Fatal(err)
		}
		text := s.markdown()
		if !strings.Contains(text, want) || !strings.Contains(text, "310 files and 42 commits.") || !strings.Contains(text, "| security:quick | 34.00 s | 50.00 s |") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
	for _, wrong := range []string{"", "{}", `{"verdict": "pass"}`} {
		if _, err := quickSection(row{}, []byte(wrong)); err == nil {
			t.Errorf("%q is a record", wrong)
		}
	}
}
