package inventory

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/candlefish/deploy-action/internal/isolate/output"
)

// yarnPackages reads a yarn.lock: version 1 has a form of its own, later ones are
// YAML with __metadata.
func yarnPackages(_ *workspace, _ string, data []byte) ([]Listed, error) {
	if strings.Contains(string(data), "# yarn lockfile v1") {
		return yarnClassic(string(data))
	}
	top, err := mapping(data)
	if err != nil {
		return nil, err
	}
	if child(top, "__metadata") == nil {
		return nil, errors.New("it has no version of Yarn's lock file")
	}
	var packages []Listed
	for i := 0; i+1 < len(top.Content); i += 2 {
		var n struct{ Version, Resolution, Checksum, LinkType string }
		key := top.Content[i]
		if key.Value == "__metadata" {
			continue
		}
		if err := decode(top.Content[i+1], map[string]*string{"version": &n.Version, "resolution": &n.Resolution, "checksum": &n.Checksum, "linkType": &n.LinkType}); err != nil {
			return nil, fmt.Errorf("line %d: %w", key.Line, err)
		}
		name, from := split(n.Resolution)
		if name == "" || n.Version == "" {
			return nil, fmt.Errorf("line %d: a package has no resolution or no version", key.Line)
		}
		if n.LinkType == "soft" { // a folder of the repository
			continue
		}
		p := Listed{Ecosystem: "npm", Name: name, Version: n.Version, Integrity: n.Checksum != "", line: key.Line}
		if !strings.HasPrefix(from, "npm:") && address(from) {
			p.Source = strings.Replace(from, "#commit=", "#", 1)
		}
		packages = append(packages, p)
	}
	return packages, nil
}

// yarnClassic reads version 1: blocks that begin, without space, with the requests
// that a package answers, and fields below, indented by two spaces.
func yarnClassic(text string) ([]Listed, error) {
	var packages []Listed
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		body := strings.TrimLeft(line, " ")
		switch indent := len(line) - len(body); {
		case body == "" || body[0] == '#':
		case indent == 0:
			if !strings.HasSuffix(line, ":") {
				return nil, fmt.Errorf("line %d is no beginning of a package", n)
			}
			packages = append(packages, Listed{Ecosystem: "npm", Name: yarnName(line), line: n})
		case len(packages) == 0:
			return nil, fmt.Errorf("line %d is in no package", n)
		case indent == 2:
			key, value, _ := strings.Cut(body, " ")
			packages[len(packages)-1].field(key, strings.Trim(value, `"`))
		}
	}
	for _, p := range packages {
		if p.Version == "" {
			return nil, fmt.Errorf("line %d: a package has no version", p.line)
		}
	}
	return packages, nil
}

// yarnName is the package's name in the first request of a block.
func yarnName(line string) string {
	first, _, _ := strings.Cut(strings.TrimSuffix(line, ":"), ", ")
	name, request := split(strings.Trim(first, `"`))
	if alias, ok := strings.CutPrefix(request, "npm:"); ok && strings.Contains(strings.TrimPrefix(alias, "@"), "@") {
		name, _ = split(alias)
	}
	return name
}

func (p *Listed) field(key, value string) {
	switch key {
	case "version":
		p.Version = value
	case "resolved":
		// Version 1 of the form has a SHA-1 of the file behind the address.
		at, hash, _ := strings.Cut(value, "#")
		p.Source = at
		if commit.MatchString(hash) {
			if isGit(at) {
				p.Source = value
			} else {
				p.Integrity = true
			}
		}
	case "integrity":
		p.Integrity = true
	}
}

// pnpmPackages reads the part "packages" of a pnpm-lock.yaml, versions 5 to 9.
func pnpmPackages(_ *workspace, _ string, data []byte) ([]Listed, error) {
	top, err := mapping(data)
	if err != nil {
		return nil, err
	}
	version := child(top, "lockfileVersion")
	if version == nil {
		return nil, errors.New("it has no lockfileVersion")
	}
	major, err := strconv.ParseFloat(version.Value, 64)
	if err != nil || major < 5 || major >= 10 {
		return nil, fmt.Errorf("its lockfileVersion is %s, and 5 to 9 are known", plain(output.Cut(version.Value, 20)))
	}
	list := child(top, "packages")
	if list == nil {
		return nil, nil
	}
	if list.Kind != yaml.MappingNode {
		return nil, errors.New("its packages are no map")
	}
	var packages []Listed
	for i := 0; i+1 < len(list.Content); i += 2 {
		key := list.Content[i]
		p, err := pnpmPackage(key.Value, list.Content[i+1], major < 6)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", key.Line, err)
		}
		if p.Ecosystem, p.line = "npm", key.Line; !strings.HasPrefix(p.Version, "file:") {
			packages = append(packages, p)
		}
	}
	return packages, nil
}

// pnpmPackage reads one package. Its key is /name/1.0.0_peers before version 6,
// /name@1.0.0(peers) before 9, and name@1.0.0.
func pnpmPackage(key string, body *yaml.Node, slashes bool) (Listed, error) {
	var p Listed
	var name, version, build, integrity, tarball, repo, hash string
	if err := decode(body, map[string]*string{"name": &name, "version": &version, "requiresBuild": &build}); err != nil {
		return p, err
	}
	resolution := child(body, "resolution")
	if resolution == nil {
		return p, errors.New("a package has no resolution")
	}
	if err := decode(resolution, map[string]*string{"integrity": &integrity, "tarball": &tarball, "repo": &repo, "commit": &hash}); err != nil {
		return p, err
	}
	key, _, _ = strings.Cut(strings.TrimPrefix(key, "/"), "(")
	if p.Name, p.Version = split(key); slashes {
		p.Name, p.Version = key, ""
		if at := strings.LastIndex(beforePeers(key), "/"); at > 0 {
			p.Name, p.Version = key[:at], strings.TrimPrefix(beforePeers(key)[at:], "/")
		}
	}
	p.Integrity, p.InstallScript, p.Source = integrity != "", build == "true", tarball
	if repo != "" {
		p.Source = "git+" + repo + "#" + hash
	}
	if name != "" {
		p.Name = name
	}
	if version != "" {
		p.Version = version
	}
	if p.Name == "" || p.Version == "" && p.Source == "" {
		return p, errors.New("a package has no name or no version")
	}
	return p, nil
}

// beforePeers is a key of version 5 without the versions of peers behind the first _
// of the last part; a scope can have one too.
func beforePeers(key string) string {
	for i := len(key) - 1; i > 0; i-- {
		if key[i] == '_' && strings.Count(key[:i], "/") >= 1+strings.Count(key[:1], "@") {
			key = key[:i]
		}
	}
	return key
}

// mapping parses YAML that is one map.
func mapping(data []byte) (*yaml.Node, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, errors.New("it is no whole YAML document")
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("it is no map")
	}
	return document.Content[0], nil
}

// child is the value of a key, nil for none.
func child(node *yaml.Node, key string) *yaml.Node {
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}

// decode reads plain values of a map; those of other keys are not looked at, and no
// alias is followed: lock files have none.
func decode(node *yaml.Node, into map[string]*string) error {
	if node.Kind != yaml.MappingNode {
		return errors.New("a package is no map")
	}
	for key, to := range into {
		if value := child(node, key); value != nil {
			if value.Kind != yaml.ScalarNode {
				return fmt.Errorf("%s is no text", key)
			}
			*to = value.Value
		}
	}
	return nil
}
