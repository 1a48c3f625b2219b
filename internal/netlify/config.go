package netlify

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// rules are what the generated netlify.toml holds.
type rules struct {
	Redirects []redirect `toml:"redirects,omitempty"`
	Headers   []header   `toml:"headers,omitempty"`
	// Images are the sources that Netlify's image service may load from, as
	// they were given.
	Images map[string]any `toml:"images,omitempty"`
}

// maxRules is how long a file of rules may be, in bytes.
const maxRules = 10 << 20

// generated is the netlify.toml that a folder's rules and a configuration make; nil
// when there are none.
func generated(folder *os.Root, config string) ([]byte, error) {
	text, err := optional(folder, redirectsName)
	if err != nil {
		return nil, err
	}
	redirects, err1 := parseRedirects(text)
	if text, err = optional(folder, headersName); err != nil {
		return nil, err
	}
	headers, err2 := parseHeaders(text)
	all, err3 := configured(folder, config)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	all.Redirects = unique(slices.Concat(redirects, all.Redirects))
	all.Headers = unique(slices.Concat(headers, all.Headers))
	if len(all.Redirects)+len(all.Headers)+len(all.Images) == 0 {
		return nil, nil
	}
	var out bytes.Buffer
	err = toml.NewEncoder(&out).Encode(all)
	return out.Bytes(), err
}

// optional reads a file of a folder, "" when it is not there.
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

// configured reads what is ours of a netlify.toml: the one that was named, or the
// folder's own.
func configured(folder *os.Root, config string) (rules, error) {
	var text string
	var err error
	name := configName
	if config != "" {
		name = config
		var dir *os.Root
		if dir, err = os.OpenRoot(filepath.Dir(config)); err == nil {
			defer dir.Close()
			if _, err = dir.Stat(filepath.Base(config)); err == nil {
				text, err = optional(dir, filepath.Base(config))
			}
		}
	} else {
		text, err = optional(folder, configName)
	}
	if err != nil {
		return rules{}, err
	}
	r, err := parseConfig(text)
	if err != nil {
		return r, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// parseConfig reads the text of a netlify.toml.
func parseConfig(text string) (rules, error) {
	var top map[string]any
	if _, err := toml.Decode(strings.TrimPrefix(text, "\uFEFF"), &top); err != nil {
		var wrong toml.ParseError
		if errors.As(err, &wrong) {
			return rules{}, fmt.Errorf("line %d: %s", wrong.Position.Line, wrong.Message)
		}
		return rules{}, err
	}
	if top["edge_functions"] != nil {
		return rules{}, errors.New("edge_functions are not supported: they have to be bundled, and a preview without them would be another site")
	}
	var out rules
	images, err := t{"images", top["images"]}.table()
	out.Images = images
	errs := []error{err}
	entries, err := t{"redirects", top["redirects"]}.tables()
	errs = append(errs, err)
	for i, e := range entries {
		r, err := configRedirect(e)
		if err != nil {
			errs = append(errs, fmt.Errorf("redirects, entry %d: %w", i+1, err))
		}
		out.Redirects = append(out.Redirects, r)
	}
	entries, err = t{"headers", top["headers"]}.tables()
	errs = append(errs, err)
	for i, e := range entries {
		h, err := configHeader(e)
		if err != nil {
			errs = append(errs, fmt.Errorf("headers, entry %d: %w", i+1, err))
		}
		if len(h.Values) > 0 {
			out.Headers = append(out.Headers, h)
		}
	}
	return out, errors.Join(errs...)
}

// aliases are older names of a redirect's keys.
var aliases = map[string]string{
	"origin": "from", "destination": "to", "params": "query", "parameters": "query", "sign": "signed", "signing": "signed",
}

func configRedirect(entry map[string]any) (redirect, error) {
	var r redirect
	var errs []error
	seen := map[string]string{}
	for _, key := range slices.Sorted(keys(entry)) {
		name := key
		if n, ok := aliases[key]; ok {
			name = n
		}
		if before, ok := seen[name]; ok {
			errs = append(errs, fmt.Errorf("%s and %s are the same", before, key))
		}
		seen[name] = key
		errs = append(errs, r.set(name, t{key, entry[key]}))
	}
	if err := errors.Join(errs...); err != nil {
		return r, err
	}
	return r.normal()
}

// set takes one key of a rule.
func (r *redirect) set(name string, v t) (err error) {
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
		force, ok := v.value.(bool)
		if !ok {
			return fmt.Errorf("force: want true or false, not %v", v.value)
		}
		r.Force = force
	default:
		err = fmt.Errorf("unknown key %q", v.key)
	}
	return err
}

func configHeader(entry map[string]any) (header, error) {
	var h header
	var errs []error
	for _, key := range slices.Sorted(keys(entry)) {
		v := t{key, entry[key]}
		var err error
		switch key {
		case "for":
			h.For, err = v.text()
			h.For = strings.TrimSpace(h.For)
		case "values":
			h.Values, err = v.values()
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
