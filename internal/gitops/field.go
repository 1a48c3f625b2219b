// Package gitops writes the image of a release back into the repository that a GitOps
// tool reads: it edits one field of a YAML file, byte for byte as it was elsewhere,
// and commits it or proposes it as a pull request.
//
// It decides nothing about a release. A conflict with somebody's push is retried, the
// same image again changes nothing, and a field that cannot be edited safely is an
// error that says what to do by hand.
package gitops

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A Field says where the image is in a file.
type Field struct {
	text string
	// kustomize is the name of an entry of images in a kustomization.yaml, "" for a
	// path.
	kustomize string
	path      []step
}

// A step leads to a value: by its key, by its index in a list, or by a key of the
// list's entries that has a value.
type step struct {
	key          string
	index        int // of a list, -1 for none
	where, equal string
}

// Fields describes what ParseField takes.
const Fields = "kustomize:<name of the image>, or a path such as image, web.image.tag or spec.template.spec.containers[name=app].image"

var (
	pathPart  = regexp.MustCompile(`^([^.\[\]]+)((?:\[[^\[\]]+\])*)(?:\.|$)`)
	selectors = regexp.MustCompile(`\[([^\[\]]+)\]`)
)

// ParseField parses a field; see Fields. A path leads to a scalar or, as Helm charts
// have it, to a mapping with repository and tag. The scalar gets the whole image, or
// only its part if its key is tag or digest.
func ParseField(text string) (Field, error) {
	f := Field{text: text}
	if name, ok := strings.CutPrefix(text, "kustomize:"); ok {
		if f.kustomize = name; name == "" {
			return f, fmt.Errorf("field %q: the name of the image is missing", text)
		}
		return f, nil
	}
	for rest := text; ; {
		m := pathPart.FindStringSubmatch(rest)
		if m == nil {
			return f, fmt.Errorf("field %q: %q is no part of a path", text, rest)
		}
		f.path = append(f.path, step{key: m[1], index: -1})
		for _, s := range selectors.FindAllStringSubmatch(m[2], -1) {
			where, equal, ok := strings.Cut(s[1], "=")
			n, err := strconv.Atoi(s[1])
			switch {
			case ok && where != "" && equal != "":
				f.path = append(f.path, step{where: where, equal: equal, index: -1})
			case err == nil && n >= 0:
				f.path = append(f.path, step{index: n})
			default:
				return f, fmt.Errorf("field %q: [%s] is neither an index nor key=value", text, s[1])
			}
		}
		last := len(m[0]) == len(rest) && !strings.HasSuffix(m[0], ".")
		if rest = rest[len(m[0]):]; last {
			return f, nil
		}
	}
}

// String returns the field as it was written.
func (f Field) String() string { return f.text }

// A reference is an image in its parts.
type reference struct{ repository, tag, digest string }

func parse(image string) reference {
	var r reference
	r.repository, r.digest, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(r.repository, ':'); i > strings.LastIndexByte(r.repository, '/') {
		r.repository, r.tag = r.repository[:i], r.repository[i+1:]
	}
	return r
}
