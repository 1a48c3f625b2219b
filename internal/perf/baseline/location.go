package baseline

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// A Kind is where a baseline can be.
type Kind string

// Kinds of places.
const (
	Folder Kind = "folder" // for artifacts and caches
	Git    Kind = "git"
	S3     Kind = "s3"
)

// A Location says where a baseline is.
type Location struct {
	Kind   Kind
	Path   string // of Folder
	Branch string // of Git
	Bucket string // of S3
	Prefix string // of S3: a folder in the bucket without slashes at its ends; "" for none
}

// Forms are what [ParseLocation] takes, for help and errors.
const Forms = "folder:PATH, git:BRANCH or s3:BUCKET/FOLDER"

var (
	branchName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}$`)
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	prefixName = regexp.MustCompile(`^[A-Za-z0-9!_.*'()/=-]{0,500}$`)
)

// ParseLocation parses the input baseline.
func ParseLocation(text string) (Location, error) {
	kind, rest, _ := strings.Cut(text, ":")
	l := Location{Kind: Kind(kind)}
	switch l.Kind {
	case Folder:
		if l.Path = rest; rest == "" {
			return l, fmt.Errorf("%q has no path; want %s", text, Forms)
		}
		l.Path = filepath.Clean(l.Path)
	case Git:
		if l.Branch = rest; !isBranch(rest) {
			return l, fmt.Errorf("%q is no name of a branch; want git:performance-baseline, for example", rest)
		}
	case S3:
		l.Bucket, l.Prefix, _ = strings.Cut(strings.TrimPrefix(rest, "//"), "/")
		l.Prefix = strings.Trim(l.Prefix, "/")
		if !bucketName.MatchString(l.Bucket) || !prefixName.MatchString(l.Prefix) {
			return l, fmt.Errorf("%q is no bucket with a folder; want s3:BUCKET/FOLDER", rest)
		}
	default:
		return l, fmt.Errorf("%q is no place for a baseline; want %s", text, Forms)
	}
	return l, nil
}

// isBranch reports whether Git takes a name for a branch, as git check-ref-format does,
// and more strictly.
func isBranch(name string) bool {
	if !branchName.MatchString(name) || strings.Contains(name, "..") || strings.Contains(name, "//") || strings.HasSuffix(name, "/") || name == "HEAD" {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".") || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}

// FileName is the name of the baseline's file for a deployment environment. Characters
// that a file of an artifact cannot have are written as %XX.
func FileName(environment string) string {
	var b strings.Builder
	for _, c := range []byte(environment) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return "performance-baseline-" + b.String() + ".json"
}
