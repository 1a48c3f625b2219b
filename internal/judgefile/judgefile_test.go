package judgefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/analysis/config"
)

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "analysis.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Without a file and with one that says nothing, the inputs' limits alone count.
func TestLoadWithoutSettings(t *testing.T) {
	t.Parallel()
	rate := 1.0
	base := config.Metric{MinSamples: 20, Errors: &config.ErrorLimits{Rate: &rate}}
	want := config.Config{Version: 1}.WithDefaults(base)
	for name, path := range map[string]string{"no file": "", "a file that says nothing": write(t, "version: 1\n")} {
		got, err := Load(path, base)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestMetricsTakeWhatTheyLeaveOpenFromTheInputs(t *testing.T) {
	t.Parallel()
	rate := 1.0
	c, err := Load(write(t, `
version: 1
metrics:
- name: users
  http: {url: "http://stats/${version}", total: $.all, failed: $.bad}
  errors: {ratio: 3}
`), config.Metric{MinSamples: 20, Errors: &config.ErrorLimits{Rate: &rate}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range c.Metrics {
		names = append(names, m.Name)
	}
	if diff := cmp.Diff([]string{"probe", "users"}, names); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	if users := c.Metrics[1]; *users.Errors.Rate != 1 || users.Errors.Ratio != 3 || users.MinSamples != 20 || users.Latency != nil {
		t.Errorf("users is judged by %+v with errors %+v", users, users.Errors)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		says       []string
	}{
		{"no YAML", "version: [", []string{"refused"}},
		{"an unknown key", "version: 1\nlimits: {}\n", []string{"limits"}},
		{"an unknown key below", "version: 1\nmetrics: [{name: probe, errors: {percent: 3}}]\n", []string{"percent"}},
		{"a key twice", "version: 1\nversion: 1\n", []string{"version"}},
		{"a duration without a unit", "version: 1\nstale: 30\n", []string{"30", "unit"}},
		{"nothing", "", []string{"version is 0"}},
		{"all that is wrong", "version: 1\nalpha: 2\nthen: pass\nchecks: [{name: a}]\n", []string{"alpha is 2", `then is "pass"`, "checks[0]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(write(t, c.text), config.Metric{})
			if err == nil {
				t.Fatal("it is taken")
			}
			for _, part := range c.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml"), config.Metric{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}
