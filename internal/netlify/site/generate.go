package site

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/candlefish/deploy-action/internal/netlify/rules"
)

// maxRules is the size limit of a file of rules, in bytes.
const maxRules = 10 << 20

// generate makes the netlify.toml out of the folder's rules and the configuration.
func (s *Site) generate(src Source) error {
	redirects, err1 := optional(s.dir, rules.RedirectsName)
	headers, err2 := optional(s.dir, rules.HeadersName)
	config, err3 := configText(s.dir, src.Config)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	all, err := rules.Merge(redirects, headers, config, cmp.Or(src.Config, rules.ConfigName))
	if err != nil {
		return err
	}
	s.Warnings = append(s.Warnings, all.Warnings...)
	s.generated, err = all.TOML()
	return err
}

// optional reads a file of a folder, "" if it does not exist.
func optional(folder *os.Root, name string) (string, error) {
	info, err := folder.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a file", name) // a pipe would never end
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

// configText reads a netlify.toml: the given one, or the folder's own if there is one.
func configText(folder *os.Root, config string) (string, error) {
	if config == "" {
		return optional(folder, rules.ConfigName)
	}
	dir, err := os.OpenRoot(filepath.Dir(config))
	if err != nil {
		return "", err
	}
	defer func() { _ = dir.Close() }()
	if _, err := dir.Stat(filepath.Base(config)); err != nil {
		return "", fmt.Errorf("%s: %w", config, err) // one that was asked for is not optional
	}
	return optional(dir, filepath.Base(config))
}

// edgeFolders warns of the folders in which netlify-cli would look for edge functions.
func edgeFolders(src Source) []string {
	root := src.Dir
	if src.Config != "" {
		root = filepath.Dir(src.Config)
	}
	var found []string
	for _, name := range []string{"netlify/edge-functions", ".netlify/edge-functions", ".netlify/v1/edge-functions"} {
		entries, err := os.ReadDir(filepath.Join(root, filepath.FromSlash(name)))
		if err == nil && len(entries) > 0 {
			found = append(found, fmt.Sprintf("edge functions in %s are not deployed: only Netlify's own builds and netlify-cli bundle them", name))
		}
	}
	return found
}
