package sandbox

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	cmd.Wait()
}

func TestRemoveDirRefusesWhatIsNoSandbox(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mine := filepath.Join(dir, "thesis.txt")
	if err := os.WriteFile(mine, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := removeDir(dir); err == nil || !strings.Contains(err.Error(), "holds no sandbox") {
		t.Errorf("removeDir = %v, want a refusal", err)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Errorf("the file is gone: %v", err)
	}
}

func TestMountsBelow(t *testing.T) {
	t.Parallel()
	const info = `20 1 8:1 / / rw - ext4 /dev/a rw
21 20 0:1 / /s/containerd/x rw - overlay overlay rw
22 20 0:1 / /sandbox rw - tmpfs t rw
23 21 0:1 / /s/containerd/x/y rw - tmpfs t rw
24 20 0:1 / /s rw - tmpfs t rw
`
	if diff := cmp.Diff([]string{"/s/containerd/x", "/s/containerd/x/y"}, mountsBelow(info, "/s")); diff != "" {
		t.Errorf("mountsBelow (-want +got):\n%s", diff)
	}
}

func TestStatusInWords(t *testing.T) {
	t.Parallel()
	s := Status{Dir: "/s", Up: true, Healthy: true, PID: 7, Sandbox: &Sandbox{Kubeconfig: "/s/k", EntryPoint: "http://127.0.0.1:1"},
		Components: []Component{{"etcd", running, "/s/log/etcd.log"}, {"kubelet", "exited with status 1", "/s/log/kubelet.log"}}}
	if err := s.err(); err == nil || err.Error() != "kubelet exited with status 1, see /s/log/kubelet.log" {
		t.Errorf("err = %v, want kubelet's end and its log", err)
	}
	for _, want := range []string{"sandbox in /s is up", "/s/k", "http://127.0.0.1:1", "exited with status 1"} {
		if !strings.Contains(s.String(), want) {
			t.Errorf("status lacks %q:\n%s", want, s)
		}
	}
	if got := (Status{Dir: "/s"}).String(); got != "no sandbox is up in /s\n" {
		t.Errorf("without a sandbox: %q", got)
	}
}
