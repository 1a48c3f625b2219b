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
	for text, want := range map[string]int{
		`{"runs":[{"results":[{"level":"error"},{"level":"note"},{}],"invocations":[{"executionSuccessful":true}]}]}`:                               1,
		`{"runs":[{"results":[],"invocations":[{"executionSuccessful":false,"toolConfigurationNotifications":[{"level":"error"},{}]}]}]}`:           1,
		`{"runs":[{"results":[],"invocations":[{"executionSuccessful":false}]}]}`:                                                                   1,
		`{"runs":[{"results":[],"invocations":[{"executionSuccessful":true,"toolExecutionNotifications":[{"level":"error"},{"level":"error"}]}]}]}`: 2,
	} {
		faults, err := read([]byte(text), nil)
		if err != nil || len(faults) != want {
			t.Errorf("%s: %q, %v", text, faults, err)
		}
	}
	for _, text := range []string{`{"runs":[]}`, `{"runs":[{"results":[]}]}`, `no`} {
		if _, err := read([]byte(text), nil); err == nil {
			t.Errorf("%s is taken for a report", text)
		}
	}
}
