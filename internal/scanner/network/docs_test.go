package network

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestTheDocumentHasAllRules(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/security-rules.md")
	if err != nil {
		t.Fatal(err)
	}
	for id, r := range tlsRules {
		if row := fmt.Sprintf("| `%s` | %s | %s | %s |\n", id, r.severity, r.grade, r.title); !strings.Contains(string(text), row) {
			t.Errorf("the document lacks %s", row)
		}
	}
	for id, r := range headerRules {
		if row := fmt.Sprintf("| `%s` | %s | %s |\n", id, r.severity, r.title); !strings.Contains(string(text), row) {
			t.Errorf("the document lacks %s", row)
		}
	}
}
