package site

import (
	"archive/zip"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/netlify/bundle"
)

// A Function is one function to publish, as a zip.
type Function struct {
	Name     string
	Size     int64  // of the zip, in bytes
	SHA256   string // of the zip, in hex
	Runtime  string
	Mode     string // such as background; empty means the usual one
	Timeout  int64  // in seconds; 0 means Netlify's own
	Schedule string // in cron's syntax; empty means none
	// Config is what the manifest says beyond that; nil without a manifest.
	Config *FunctionConfig

	inSource bool // whether its source says more about it than its file does

	file string // in the folder; empty for a function that was zipped here
	body []byte // of a function that was zipped here
}

// A FunctionConfig is how a function is routed and displayed.
type FunctionConfig struct {
	DisplayName, Generator string
	BuildData              any
	Priority               int64
	Routes, ExcludedRoutes []Route
	TrafficRules           *TrafficRules // nil means none
}

// TrafficRules limit the rate of a function's requests, or rewrite them.
type TrafficRules struct {
	Action struct {
		Type   string `json:"type"`
		Config struct {
			To              string `json:"to"`
			RateLimitConfig struct {
				Algorithm   string `json:"algorithm"`
				WindowSize  int64  `json:"windowSize"`
				WindowLimit int64  `json:"windowLimit"`
			} `json:"rateLimitConfig"`
			Aggregate struct {
				Keys []struct {
					Type string `json:"type"`
				} `json:"keys"`
			} `json:"aggregate"`
		} `json:"config"`
	} `json:"action"`
}

// A Route is a set of paths that a function serves, or does not serve. An excluded
// route has neither methods nor PreferStatic.
type Route struct {
	Pattern      string   `json:"pattern"`
	Literal      string   `json:"literal"`
	Expression   string   `json:"expression"`
	Methods      []string `json:"methods"`
	PreferStatic bool     `json:"prefer_static"`
}

// maxSource is the size limit of a function of one file, in bytes: it is zipped in
// memory.
const maxSource = 50 << 20

var functionName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// listFunctions reads a folder of functions, as the package comment says. Warn receives
// what of them is not published.
func listFunctions(folder *os.Root, warn func(format string, args ...any)) ([]Function, error) {
	entries, err := fs.ReadDir(folder.FS(), ".")
	if err != nil {
		return nil, err
	}
	var functions []Function
	var unknown []string
	hasManifest := false
	for _, e := range entries {
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case e.Name() == manifestName:
			hasManifest = true
		case isFunction(e):
			f, err := readFunction(folder, e.Name())
			if err != nil {
				return nil, fmt.Errorf("%q: %w", e.Name(), err)
			}
			if f.inSource {
				warn("function %q: its source may say how it is routed or scheduled, which only Netlify's bundler reads; %s", f.Name, bundle.Hint)
			}
			functions = append(functions, f)
		default:
			unknown = append(unknown, fmt.Sprintf("%q", e.Name()))
		}
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("neither .zip files nor single .js, .mjs or .cjs files named by letters, digits, - and _: %s; %s", Some(unknown), bundle.Hint)
	}
	if name := duplicate(functions); name != "" {
		return nil, fmt.Errorf("two functions are named %q", name)
	}
	if hasManifest {
		return functions, applyManifest(folder, functions, warn)
	}
	return functions, nil
}

func isFunction(e fs.DirEntry) bool {
	kind := filepath.Ext(e.Name())
	return e.Type().IsRegular() && functionName.MatchString(strings.TrimSuffix(e.Name(), kind)) &&
		slices.Contains([]string{".zip", ".js", ".mjs", ".cjs"}, kind)
}

// duplicate returns a name that two functions have, if any.
func duplicate(functions []Function) string {
	seen := map[string]bool{}
	for _, f := range functions {
		if seen[f.Name] {
			return f.Name
		}
		seen[f.Name] = true
	}
	return ""
}

func readFunction(folder *os.Root, name string) (Function, error) {
	kind := filepath.Ext(name)
	f := Function{Name: strings.TrimSuffix(name, kind), file: name, Runtime: "js"}
	from, err := folder.Open(name)
	if err != nil {
		return f, err
	}
	defer func() { _ = from.Close() }()
	var source io.Reader = from
	if strings.HasSuffix(f.Name, "-background") {
		f.Mode = "background"
	}
	if kind != ".zip" {
		f.file = ""
		text, err := readSource(from)
		if err != nil {
			return f, err
		}
		f.inSource = configured.Match(text)
		if f.body, err = zipFile(name, text); err != nil {
			return f, err
		}
		source = bytes.NewReader(f.body)
	}
	h := sha256.New()
	if f.Size, err = io.Copy(h, source); err != nil {
		return f, err
	}
	f.SHA256 = hex.EncodeToString(h.Sum(nil))
	return f, nil
}

// configured finds what only the bundler reads in a source: its exported configuration,
// and a schedule.
var configured = regexp.MustCompile(`\bexport\s+(const|let|var)\s+config\b|\bexport\s*\{[^}]*\bconfig\b|\bschedule\s*\(`)

func readSource(from io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxSource+1))
	if err == nil && len(text) > maxSource {
		err = errors.New("larger than 50 MiB: bundle it")
	}
	return text, err
}

// zipFile zips one source file. Equal files give equal zips.
func zipFile(name string, source []byte) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
	if err == nil {
		_, err = w.Write(source)
	}
	if err == nil {
		err = z.Close()
	}
	return out.Bytes(), err
}

// manifestName is zip-it-and-ship-it's list of functions.
const manifestName = "manifest.json"

type manifest struct {
	Functions []struct {
		Name           string        `json:"name"`
		Path           string        `json:"path"`
		Runtime        string        `json:"runtime"`
		RuntimeVersion string        `json:"runtimeVersion"`
		Region         string        `json:"region"`
		Memory         json.Number   `json:"memory"`
		VCPU           json.Number   `json:"vcpu"`
		Events         []string      `json:"eventSubscriptions"`
		InvocationMode string        `json:"invocationMode"`
		Timeout        int64         `json:"timeout"`
		Schedule       string        `json:"schedule"`
		DisplayName    string        `json:"displayName"`
		Generator      string        `json:"generator"`
		BuildData      any           `json:"buildData"`
		Priority       int64         `json:"priority"`
		Routes         []Route       `json:"routes"`
		ExcludedRoutes []Route       `json:"excludedRoutes"`
		TrafficRules   *TrafficRules `json:"trafficRules"`
	} `json:"functions"`
}

// applyManifest adds what the manifest says to the functions. It refers to their .zip
// files by name: the folder was elsewhere when it was written.
func applyManifest(folder *os.Root, functions []Function, warn func(format string, args ...any)) error {
	raw, err := folder.ReadFile(manifestName)
	if err != nil {
		return err
	}
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return fmt.Errorf("%s: %w", manifestName, err)
	}
	for _, entry := range m.Functions {
		i := slices.IndexFunc(functions, func(f Function) bool { return f.file == filepath.Base(entry.Path) })
		if i < 0 {
			return fmt.Errorf("%s: function %q: there is no file %q", manifestName, entry.Name, filepath.Base(entry.Path))
		}
		if entry.Region != "" || entry.Memory != "" || entry.VCPU != "" || len(entry.Events) > 0 {
			warn("function %q: its region, memory, vcpu and event subscriptions are not passed on: Netlify's client for Go does not have them", entry.Name)
		}
		f := &functions[i]
		f.Mode, f.Timeout, f.Schedule = entry.InvocationMode, entry.Timeout, entry.Schedule
		f.Runtime = cmp.Or(entry.RuntimeVersion, entry.Runtime, f.Runtime)
		f.Config = &FunctionConfig{
			DisplayName: entry.DisplayName, Generator: entry.Generator, BuildData: entry.BuildData, Priority: entry.Priority,
			Routes: entry.Routes, ExcludedRoutes: entry.ExcludedRoutes, TrafficRules: entry.TrafficRules,
		}
	}
	return nil
}
