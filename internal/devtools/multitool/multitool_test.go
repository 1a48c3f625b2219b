package multitool

import (
	"encoding/json"
	"testing"
)

func TestVersionIsThatOfTheLock(t *testing.T) {
	t.Parallel()
	raw, err := peer.ReadFile("peer/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Version, Integrity string }
	}
	if err := json.Unmarshal(raw, &lock); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "-linux", "-darwin", "-win32"} {
		if p := lock.Packages["node_modules/@microsoft/sarif-multitool"+name]; p.Version != version || p.Integrity == "" {
			t.Errorf("%s: %+v, want version %s", name, p, version)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct{ faults, milder int }{
		`{"runs":[{"results":[{"level":"error"},{"level":"note"},{}],"invocations":[{"executionSuccessful":true}]}]}`:                               {1, 2},
		`{"runs":[{"results":[],"invocations":[{"executionSuccessful":false,"toolConfigurationNotifications":[{"level":"error"},{}]}]}]}`:           {1, 0},
		`{"runs":[{"results":[],"invocations":[{"executionSuccessful":false}]}]}`:                                                                   {1, 0},
		`{"runs":[{"results":[],"invocations":[{"executionSuccessful":true,"toolExecutionNotifications":[{"level":"error"},{"level":"error"}]}]}]}`: {2, 0},
	} {
		faults, milder, err := read([]byte(text), nil)
		if err != nil || len(faults) != want.faults || milder != want.milder {
			t.Errorf("%s: %q, %d, %v", text, faults, milder, err)
		}
	}
	for _, text := range []string{`{"runs":[]}`, `{"runs":[{"results":[]}]}`, `no`} {
		if _, _, err := read([]byte(text), nil); err == nil {
			t.Errorf("%s is taken for a report", text)
		}
	}
}
