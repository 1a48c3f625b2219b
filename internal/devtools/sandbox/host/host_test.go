package host

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRefusalsSayWhatWorksInstead(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"not Linux":   {hostError("darwin", 0), "needs Linux, this is darwin"},
		"not root":    {hostError("linux", 1000), "needs root"},
		"little disk": {diskError("/var/lib", 2<<30, 1<<29), "/var/lib has 0.5 GiB free, the sandbox needs 2.0 GiB"},
		"no apt":      {noAptError([]string{"runc", "socat"}), "needs runc, socat and there is no apt-get"},
	} {
		if test.err == nil || !strings.Contains(test.err.Error(), test.want) || !strings.Contains(test.err.Error(), "KUBECONFIG") {
			t.Errorf("%s: error %q, want %q and what to use instead", name, test.err, test.want)
		}
	}
	if err := hostError("linux", 0); err != nil {
		t.Errorf("root on Linux: %v", err)
	}
	if err := diskError("/", 1, 1); err != nil {
		t.Errorf("enough disk: %v", err)
	}
}

func TestMissingPackages(t *testing.T) {
	t.Parallel()
	// some have runc in bin and plugins in /opt
	got := missingPackages(func(f string) bool {
		return f == "/usr/bin/runc" || f == "/opt/cni/bin/bridge" || strings.HasPrefix(f, "/usr/sbin/") && !strings.HasSuffix(f, "/runc") && !strings.HasSuffix(f, "/bridge")
	})
	if len(got) != 0 {
		t.Errorf("missing packages = %v, want none", got)
	}
	// iproute2's bridge is no CNI plugin
	got = missingPackages(func(f string) bool { return strings.HasPrefix(f, "/usr/sbin/") })
	if diff := cmp.Diff([]string{"containernetworking-plugins"}, got); diff != "" {
		t.Errorf("missing packages (-want +got):\n%s", diff)
	}
	got = missingPackages(func(f string) bool { return !strings.HasSuffix(f, "/runc") && !strings.HasSuffix(f, "/bridge") })
	if diff := cmp.Diff([]string{"runc", "containernetworking-plugins"}, got); diff != "" {
		t.Errorf("missing packages (-want +got):\n%s", diff)
	}
}
