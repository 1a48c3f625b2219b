// Package place says which file of the workspace a URI in SARIF names (sections 3.4
// and 3.14.14). What is outside of the workspace is never taken for a file inside,
// and no path has ".." in it.
package place

import (
	"net/url"
	"path"
	"regexp"
	"strings"
)

// A Base is what a uriBaseId stands for.
type Base struct {
	URI    string
	Parent string // the uriBaseId that URI is relative to; "" for none
}

// A Resolver resolves the URIs of a run.
type Resolver struct {
	workspace string // with slashes, without one at its end; "" if not known
	bases     map[string]Base
}

// New returns a Resolver for an absolute workspace, "" if it is not known, and the
// originalUriBaseIds of a run.
func New(workspace string, bases map[string]Base) *Resolver {
	return &Resolver{workspace: strings.TrimRight(slashes(workspace), "/"), bases: bases}
}

// maxBases bounds a chain of bases, which could be a ring.
const maxBases = 10

var (
	scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]+:`) // of one letter it is a drive
	drive  = regexp.MustCompile(`^/?[A-Za-z]:/`)
)

// Resolve returns a path below the workspace, or the host:port of an address of the
// web. Of anything else it returns the URI itself as outside.
func (p *Resolver) Resolve(uri, baseID string) (file, host, outside string) {
	name := slashes(uri)
	for range maxBases {
		b, ok := p.bases[baseID]
		if !ok || absolute(name) {
			break
		}
		root := slashes(b.URI)
		if absolute(root) {
			// The root of the sources, perhaps on another machine. What is not below
			// this workspace keeps the path that it has there.
			if inside := p.relative(unescape(local(join2(root, name)))); inside != "" {
				return inside, "", ""
			}
			break
		}
		name, baseID = join2(root, name), b.Parent
	}
	if lower := strings.ToLower(name); strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://") {
		return "", hostOf(name), ""
	}
	if !absolute(name) {
		file = below(unescape(name))
	} else if strings.HasPrefix(strings.ToLower(name), "file:") || !scheme.MatchString(name) {
		file = p.relative(unescape(local(name)))
	}
	if file == "" {
		return "", "", uri
	}
	return file, "", ""
}

// relative returns a path below the workspace, "" for any other.
func (p *Resolver) relative(absolute string) string {
	if p.workspace == "" {
		return ""
	}
	absolute = path.Clean(absolute)
	root := p.workspace
	if drive.MatchString(absolute) { // Windows does not tell cases apart
		absolute, root = strings.TrimPrefix(absolute, "/"), strings.TrimPrefix(root, "/")
		if len(absolute) > len(root) && strings.EqualFold(absolute[:len(root)], root) && absolute[len(root)] == '/' {
			return below(absolute[len(root)+1:])
		}
		return ""
	}
	rest, ok := strings.CutPrefix(absolute, root+"/")
	if !ok {
		return ""
	}
	return below(rest)
}

// below returns a clean relative path, "" if it leads out of where it begins.
func below(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return ""
	}
	name = path.Clean(name)
	if name == "." || name == ".." || strings.HasPrefix(name, "../") || absolute(name) {
		return ""
	}
	return name
}

func absolute(name string) bool {
	if !strings.Contains(name, ":") {
		return strings.HasPrefix(name, "/")
	}
	return strings.HasPrefix(name, "/") || drive.MatchString(name) || scheme.MatchString(name)
}

// local is the path of a file URI, or the path itself. A file URI has no host here:
// file://server/share is another machine's.
func local(name string) string {
	if len(name) < 5 || !strings.EqualFold(name[:5], "file:") {
		return name
	}
	rest := name[5:]
	for _, prefix := range []string{"//localhost/", "///", "/"} {
		if after, ok := strings.CutPrefix(rest, prefix); ok && (prefix != "/" || !strings.HasPrefix(after, "/")) {
			return "/" + after
		}
	}
	return ""
}

func join2(root, name string) string {
	if root == "" || strings.HasSuffix(root, "/") {
		return root + name
	}
	return root + "/" + name
}

// unescape decodes percent signs; a name that has other ones was not encoded.
func unescape(name string) string {
	if plain, err := url.PathUnescape(name); err == nil {
		return slashes(plain)
	}
	return name
}

func slashes(name string) string { return strings.ReplaceAll(name, `\`, "/") }

func hostOf(name string) string {
	u, err := url.Parse(name)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	if u.Port() != "" {
		return u.Host
	}
	if u.Scheme == "http" {
		return u.Host + ":80"
	}
	return u.Host + ":443"
}
