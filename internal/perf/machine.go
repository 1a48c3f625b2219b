package perf

import (
	"bufio"
	"os"
	"runtime"
	"strings"
)

// cpuModel is the processor's name as the system has it; the architecture where there
// is none.
func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// cores is how many processors this process may use; Go counts a container's limit.
func cores() int { return runtime.GOMAXPROCS(0) }

// hostSystem is the system's own name and version, for machines that are no runners of
// GitHub.
func hostSystem() string {
	raw, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return runtime.GOOS
	}
	values := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[name] = strings.Trim(value, `"`)
		}
	}
	if values["ID"] == "" {
		return runtime.GOOS
	}
	return strings.TrimSpace(values["ID"] + " " + values["VERSION_ID"])
}
