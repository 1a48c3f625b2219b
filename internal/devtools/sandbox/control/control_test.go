package control

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRemoveDirRefusesWhatIsNoSandbox(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mine := filepath.Join(dir, "thesis.txt")
	if err := os.WriteFile(mine, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Dir(dir).Remove(); err == nil || !strings.Contains(err.Error(), "holds no sandbox") {
		t.Errorf("Remove = %v, want a refusal", err)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Errorf("the file is gone: %v", err)
	}
}

func TestStatusInWords(t *testing.T) {
	t.Parallel()
	s := Status{Dir: "/s", Up: true, Healthy: true, PID: 7, Serving: &Serving{Kubeconfig: "/s/k", EntryPoint: "http://127.0.0.1:1"},
		Curl:       []string{"curl -H 'Host: shop.example.com' http://127.0.0.1:1"},
		Components: []Component{{"etcd", Running, "/s/log/etcd.log"}, {"kubelet", "exited with status 1", "/s/log/kubelet.log"}}}
	if err := s.Err(); err == nil || err.Error() != "kubelet exited with status 1, see /s/log/kubelet.log" {
		t.Errorf("err = %v, want kubelet's end and its log", err)
	}
	for _, want := range []string{"sandbox in /s is up", "/s/k", "http://127.0.0.1:1", "  try           curl -H 'Host: shop.example.com' http://127.0.0.1:1\n", "exited with status 1"} {
		if !strings.Contains(s.String(), want) {
			t.Errorf("status lacks %q:\n%s", want, s)
		}
	}
	if got := (Status{Dir: "/s"}).String(); got != "no sandbox is up in /s\n" {
		t.Errorf("without a sandbox: %q", got)
	}
}
