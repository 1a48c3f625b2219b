package repotest

import (
	"strings"
	"testing"
	"time"

	"github.com/candlefish/deploy-action/internal/smoke"
)

// Every smoke file that the documents show is one.
func TestShownSmokeFiles(t *testing.T) {
	t.Parallel()
	shown := 0
	for _, b := range blocks(t) {
		if b.lang != "yaml" || !strings.Contains(b.text, "\nrequests:\n") {
			continue
		}
		shown++
		if _, err := smoke.Parse([]byte(b.text), time.Second); err != nil {
			t.Errorf("%s shows\n%s\n%v", b.file, b.text, err)
		}
	}
	if shown == 0 {
		t.Error("the documents show no smoke file")
	}
}
