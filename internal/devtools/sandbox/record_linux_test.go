package sandbox

import (
	"errors"
	"os"
	"os/exec"
	"testing"
)

func TestParseStartTime(t *testing.T) {
	t.Parallel()
	const rest = " 1 1 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0"
	got, err := parseStartTime([]byte("12 (a) b) c) S" + rest))
	if err != nil || got != 4711 {
		t.Errorf("parseStartTime = %d, %v, want 4711", got, err)
	}
	if _, err := parseStartTime([]byte("12 (a) Z" + rest)); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a zombie: %v, want %v", err, os.ErrProcessDone)
	}
	for _, bad := range []string{"", "12", "12 (a)", "12 (a) S 1 2"} {
		if _, err := parseStartTime([]byte(bad)); err == nil {
			t.Errorf("parseStartTime(%q) succeeds", bad)
		}
	}
}

func TestRecordKnowsItsProcess(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	rec, err := newRecord(cmd.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !rec.alive() {
		t.Error("a running process is not alive")
	}
	for name, other := range map[string]record{
		"reused pid":   {PID: rec.PID, Start: rec.Start + 1, Boot: rec.Boot},
		"other boot":   {PID: rec.PID, Start: rec.Start, Boot: "x"},
		"no such pid":  {PID: 1 << 30, Start: rec.Start, Boot: rec.Boot},
		"empty record": {},
	} {
		if other.alive() {
			t.Errorf("%s: alive", name)
		}
		if err := other.kill(); err != nil {
			t.Errorf("%s: kill = %v, want nothing done", name, err)
		}
		if err := other.gone(t.Context()); err != nil {
			t.Errorf("%s: gone = %v", name, err)
		}
	}
	if !rec.alive() {
		t.Fatal("a record of another process killed this one")
	}
	if err := rec.kill(); err != nil {
		t.Fatal(err)
	}
	if err := rec.gone(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rec.alive() { // a zombie still: nobody has waited for it
		t.Error("a killed process is alive")
	}
	_ = cmd.Wait() // killed
}
