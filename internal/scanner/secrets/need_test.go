package secrets

import (
	"os/exec"
	"testing"
)

// need returns the program of a tool that is installed on this machine.
func need(t testing.TB, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skipf("needs %s", name)
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
