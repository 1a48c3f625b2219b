package netlify

import (
	"archive/zip"
	"bytes"
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

	"github.com/netlify/open-api/v2/go/models"
)

// A function is one to publish.
type function struct {
	name    string
	path    string // in the folder; "" for one that was zipped here
	body    []byte
	size    int64
	sum     string // SHA-256, in hex
	runtime string
	mode    string // "background", say; "" for the usual
	timeout int64  // s; 0 for Netlify's
}

// A bundle is all functions of a folder, with what a manifest says of them.
type bundle struct {
	functions []function
	schedules []*models.FunctionSchedule
	config    map[string]models.FunctionConfig
}

// maxSource is how long a function of one file may be: it is zipped in memory.
const maxSource = 50 << 20

var functionName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// bundled reads a folder of functions, as the package comment says.
func bundled(folder *os.Root) (bundle, error) {
	entries, err := fs.ReadDir(folder.FS(), ".")
	if err != nil {
		return bundle{}, err
	}
	var b bundle
	var odd []string
	hasManifest := false
	for _, e := range entries {
		kind := filepath.Ext(e.Name())
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case e.Name() == manifestName:
			hasManifest = true
		case !e.Type().IsRegular() || !functionName.MatchString(strings.TrimSuffix(e.Name(), kind)):
			odd = append(odd, fmt.Sprintf("%q", e.Name()))
		case kind == ".zip", kind == ".js", kind == ".mjs", kind == ".cjs":
			f, err := newFunction(folder, e.Name(), kind)
			if err != nil {
				return bundle{}, fmt.Errorf("%q: %w", e.Name(), err)
			}
			b.functions = append(b.functions, f)
		default:
			odd = append(odd, fmt.Sprintf("%q", e.Name()))
		}
	}
	if len(odd) > 0 {
		return bundle{}, fmt.Errorf("neither .zip files nor single .js, .mjs or .cjs files named by letters, digits, - and _: %s", some(odd))
	}
	if twice := b.twice(); twice != "" {
		return bundle{}, fmt.Errorf("two functions are named %q", twice)
	}
	if hasManifest {
		return b, b.apply(folder)
	}
	return b, nil
}

func (b bundle) twice() string {
	seen := map[string]bool{}
	for _, f := range b.functions {
		if seen[f.name] {
			return f.name
		}
		seen[f.name] = true
	}
	return ""
}

func newFunction(folder *os.Root, name, kind string) (function, error) {
	f := function{name: strings.TrimSuffix(name, kind), path: name, runtime: "js"}
	from, err := folder.Open(name)
	if err != nil {
		return f, err
	}
	defer from.Close()
	var source io.Reader = from
	if kind != ".zip" {
		f.path = ""
		if f.body, err = zipped(name, from); err != nil {
			return f, err
		}
		source = bytes.NewReader(f.body)
	}
	h := sha256.New()
	if f.size, err = io.Copy(h, source); err != nil {
		return f, err
	}
	f.sum = hex.EncodeToString(h.Sum(nil))
	return f, nil
}

// zipped makes a function of one file. Equal ones give equal bytes.
func zipped(name string, from io.Reader) ([]byte, error) {
	source, err := io.ReadAll(io.LimitReader(from, maxSource+1))
	if err != nil {
		return nil, err
	}
	if len(source) > maxSource {
		return nil, errors.New("larger than 50 MiB: bundle it")
	}
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

// manifestName is what zip-it-and-ship-it calls its list of functions.
const manifestName = "manifest.json"

type manifest struct {
	Functions []struct {
		Name           string                          `json:"name"`
		Path           string                          `json:"path"`
		Runtime        string                          `json:"runtime"`
		RuntimeVersion string                          `json:"runtimeVersion"`
		InvocationMode string                          `json:"invocationMode"`
		Timeout        int64                           `json:"timeout"`
		Schedule       string                          `json:"schedule"`
		DisplayName    string                          `json:"displayName"`
		Generator      string                          `json:"generator"`
		BuildData      any                             `json:"buildData"`
		Priority       int64                           `json:"priority"`
		Routes         []*models.FunctionRoute         `json:"routes"`
		ExcludedRoutes []*models.ExcludedFunctionRoute `json:"excludedRoutes"`
		TrafficRules   json.RawMessage                 `json:"trafficRules"`
	} `json:"functions"`
}

// apply adds what the manifest says. It names functions by their .zip files, which
// were elsewhere when it was written.
func (b *bundle) apply(folder *os.Root) error {
	raw, err := folder.ReadFile(manifestName)
	if err != nil {
		return err
	}
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return fmt.Errorf("%s: %w", manifestName, err)
	}
	b.config = map[string]models.FunctionConfig{}
	for _, said := range m.Functions {
		i := slices.IndexFunc(b.functions, func(f function) bool { return f.path == filepath.Base(said.Path) })
		if i < 0 {
			return fmt.Errorf("%s: function %q: there is no file %q", manifestName, said.Name, filepath.Base(said.Path))
		}
		if len(said.TrafficRules) > 0 && string(said.TrafficRules) != "null" {
			return fmt.Errorf("%s: function %q: traffic rules are not supported", manifestName, said.Name)
		}
		f := &b.functions[i]
		f.mode, f.timeout = said.InvocationMode, said.Timeout
		if r := said.RuntimeVersion; r != "" {
			f.runtime = r
		} else if said.Runtime != "" {
			f.runtime = said.Runtime
		}
		if said.Schedule != "" {
			b.schedules = append(b.schedules, &models.FunctionSchedule{Name: f.name, Cron: said.Schedule})
		}
		b.config[f.name] = models.FunctionConfig{
			DisplayName: said.DisplayName, Generator: said.Generator, BuildData: said.BuildData, Priority: said.Priority,
			Routes: said.Routes, ExcludedRoutes: said.ExcludedRoutes,
		}
	}
	return nil
}
