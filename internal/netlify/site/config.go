package site

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Rules are what the generated netlify.toml contains.
type Rules struct {
	Redirects []Redirect `toml:"redirects,omitempty"`
	Headers   []Header   `toml:"headers,omitempty"`
	// Images configure Netlify's image service, verbatim.
	Images map[string]any `toml:"images,omitempty"`
}

// maxRules is the size limit of a file of rules, in bytes.
const maxRules = 10 << 20

// generate returns the netlify.toml made of a folder's rules and a configuration, nil
// without any rule.
func generate(folder *os.Root, config string) ([]byte, error) {
	text, err := optional(folder, redirectsName)
	if err != nil {
		return nil, err
	}
	redirects, err1 := ParseRedirects(text)
	if text, err = optional(folder, headersName); err != nil {
		return nil, err
	}
	headers, err2 := ParseHeaders(text)
	all, err3 := readConfig(folder, config)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	all.Redirects = lastOfEqual(slices.Concat(redirects, all.Redirects))
	all.Headers = lastOfEqual(slices.Concat(headers, all.Headers))
	if len(all.Redirects)+len(all.Headers)+len(all.Images) == 0 {
		return nil, nil
	}
	var out bytes.Buffer
	err = toml.NewEncoder(&out).Encode(all)
	return out.Bytes(), err
}

// optional reads a file of a folder, "" if it does not exist.
func optional(folder *os.Root, name string) (string, error) {
	info, err := folder.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err == nil && info.Size() > maxRules {
		err = fmt.Errorf("%s: larger than %d MiB", name, maxRules>>20)
	}
	if err != nil {
		return "", err
	}
	raw, err := folder.ReadFile(name)
	return string(raw), err
}

// readConfig reads the rules of a netlify.toml: of the given one, or of the folder's
// own if there is one.
func readConfig(folder *os.Root, config string) (Rules, error) {
	text, err := configText(folder, config)
	if err != nil {
		return Rules{}, err
	}
	r, err := ParseConfig(text)
	if err != nil {
		return r, fmt.Errorf("%s: %w", cmp.Or(config, configName), err)
	}
	return r, nil
}

func configText(folder *os.Root, config string) (string, error) {
	if config == "" {
		return optional(folder, configName)
	}
	dir, err := os.OpenRoot(filepath.Dir(config))
	if err != nil {
		return "", err
	}
	defer func() { _ = dir.Close() }()
	if _, err := dir.Stat(filepath.Base(config)); err != nil {
		return "", err // one that was asked for is not optional
	}
	return optional(dir, filepath.Base(config))
}

// ParseConfig reads the rules of a netlify.toml. It reports all invalid entries.
func ParseConfig(text string) (Rules, error) {
	var top map[string]any
	if _, err := toml.Decode(strings.TrimPrefix(text, "\uFEFF"), &top); err != nil {
		var wrong toml.ParseError
		if errors.As(err, &wrong) {
			return Rules{}, fmt.Errorf("line %d: %s", wrong.Position.Line, wrong.Message)
		}
		return Rules{}, err
	}
	if top["edge_functions"] != nil {
		return Rules{}, errors.New("edge_functions are not supported: they have to be bundled, and a preview without them would be another site")
	}
	images, err1 := value{"images", top["images"]}.table()
	redirects, err2 := entries(value{"redirects", top["redirects"]}, configRedirect)
	headers, err3 := entries(value{"headers", top["headers"]}, configHeader)
	headers = slices.DeleteFunc(headers, func(h Header) bool { return len(h.Values) == 0 })
	return Rules{Redirects: redirects, Headers: headers, Images: images}, errors.Join(err1, err2, err3)
}

// entries reads each table of an array, and joins the errors.
func entries[T any](v value, parse func(map[string]any) (T, error)) ([]T, error) {
	tables, err := v.tables()
	errs := []error{err}
	var all []T
	for i, table := range tables {
		one, err := parse(table)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s, entry %d: %w", v.key, i+1, err))
		}
		all = append(all, one)
	}
	return all, errors.Join(errs...)
}

// aliases are older names of a redirect's keys.
var aliases = map[string]string{
	"origin": "from", "destination": "to", "params": "query", "parameters": "query", "sign": "signed", "signing": "signed",
}

func configRedirect(entry map[string]any) (Redirect, error) {
	var r Redirect
	var errs []error
	seen := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(entry)) {
		name := key
		if n, ok := aliases[key]; ok {
			name = n
		}
		if before, ok := seen[name]; ok {
			errs = append(errs, fmt.Errorf("%s and %s are the same", before, key))
		}
		seen[name] = key
		errs = append(errs, r.set(name, value{key, entry[key]}))
	}
	if err := errors.Join(errs...); err != nil {
		return r, err
	}
	return r.normalized()
}

// set sets one key of a rule.
func (r *Redirect) set(name string, v value) (err error) {
	switch name {
	case "from":
		r.From, err = v.text()
	case "to":
		r.To, err = v.text()
	case "signed":
		r.Signed, err = v.text()
	case "query":
		r.Query, err = v.texts()
	case "headers":
		r.Headers, err = v.texts()
	case "rate_limit":
		r.RateLimit, err = v.table()
	case "conditions":
		r.Conditions, err = v.table()
	case "status":
		r.Status, err = v.status()
	case "force":
		force, ok := v.v.(bool)
		if !ok {
			return fmt.Errorf("force: want true or false, not %v", v.v)
		}
		r.Force = force
	default:
		err = fmt.Errorf("unknown key %q", v.key)
	}
	return err
}

func configHeader(entry map[string]any) (Header, error) {
	var h Header
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(entry)) {
		v := value{key, entry[key]}
		var err error
		switch key {
		case "for":
			h.For, err = v.text()
			h.For = strings.TrimSpace(h.For)
		case "values":
			h.Values, err = v.headerValues()
		default:
			err = fmt.Errorf("unknown key %q", key)
		}
		errs = append(errs, err)
	}
	if h.For == "" {
		errs = append(errs, errors.New(`"for" is missing`))
	}
	return h, errors.Join(errs...)
}
