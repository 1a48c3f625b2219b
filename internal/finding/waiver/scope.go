package waiver

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/candlefish/deploy-action/internal/finding"
)

// What a glob of a scope can begin with, if it is not for paths.
const (
	imagePrefix = "image:"
	hostPrefix  = "host:"
	purlPrefix  = "pkg:"
)

// checkGlob refuses a glob of a scope that has no meaning.
func checkGlob(glob string) error {
	if strings.TrimSpace(glob) == "" || strings.TrimSpace(glob) != glob {
		return errors.New("want a glob such as legacy/** without white space at its ends")
	}
	if strings.ContainsRune(glob, utf8.RuneError) { // it would match each byte that is no character
		return errors.New("want valid UTF-8")
	}
	for _, prefix := range []string{imagePrefix, hostPrefix} {
		if glob == prefix {
			return errors.New("want a glob behind the colon, or * for all")
		}
	}
	if strings.HasPrefix(glob, purlPrefix) {
		return errors.New("packages are for OpenVEX documents; want a glob of paths, image:GLOB or host:GLOB")
	}
	if strings.HasPrefix(glob, "!") {
		return errors.New("a scope cannot be negated; list what it contains")
	}
	if slices.ContainsFunc(strings.Split(glob, "/"), func(part string) bool { return part == ".." || part == "." }) {
		return errors.New("want a path without . and .. in it")
	}
	if strings.Trim(glob, "/") == "" || !doublestar.ValidatePattern(translate(glob)) {
		return errors.New("that is no glob")
	}
	return nil
}

// translate turns a glob of .gitignore into one of doublestar, in which braces have
// a meaning.
func translate(glob string) string { return braces.Replace(glob) }

var braces = strings.NewReplacer(`\\`, `\\`, `\{`, `\{`, `\}`, `\}`, `{`, `\{`, `}`, `\}`)

// inScope reports whether one of the globs matches the place of a sighting. A
// file in an image is a place in the image, not in the repository.
func inScope(scope []string, s finding.Sighting) bool {
	if len(scope) == 0 {
		return true
	}
	at := s.Location
	return slices.ContainsFunc(scope, func(glob string) bool {
		switch {
		case strings.HasPrefix(glob, purlPrefix):
			return samePackage(glob, s.Package)
		case strings.HasPrefix(glob, imagePrefix):
			return at.Image != "" && matches(translate(glob[len(imagePrefix):]), at.Image)
		case strings.HasPrefix(glob, hostPrefix):
			return at.Host != "" && matches(translate(glob[len(hostPrefix):]), at.Host)
		case at.Image != "" || at.Host != "" || at.Path == "":
			return false
		}
		return matchesPath(glob, at.Path)
	})
}

// matchesPath reports whether a glob of .gitignore matches a path or a folder that
// it is in. A glob without a slash before its end matches in every folder.
func matchesPath(glob, path string) bool {
	pattern, folderOnly := strings.CutSuffix(translate(glob), "/")
	if rooted, ok := strings.CutPrefix(pattern, "/"); ok {
		pattern = rooted
	} else if !strings.Contains(pattern, "/") {
		pattern = "**/" + pattern
	}
	return !folderOnly && matches(pattern, path) || matches(pattern+"/**/*", path)
}

func matches(pattern, name string) bool {
	ok, err := doublestar.Match(pattern, name)
	return ok && err == nil
}
