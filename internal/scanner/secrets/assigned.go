package secrets

import (
	"bytes"
	"math"
	"path"
	"regexp"
	"slices"
	"strings"
)

// assignment is a name that says secret, and a value: in code and JSON a quoted one,
// in files of settings a bare one too.
var (
	name       = `(?i)([A-Za-z0-9_.-]*(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|auth[_-]?key|credential)s?[A-Za-z0-9_.-]*)`
	quotedForm = regexp.MustCompile(name + "[\"']?\\s*(?::=|=>|=|:)\\s*[\"'`]([^\"'`\\s]{8,200})[\"'`]")
	bareForm   = regexp.MustCompile(`(?m)^\s*(?:export\s+)?` + name + `\s*[=:]\s*([^\s"'#;]{8,200})\s*$`)
)

// settings reports whether a file is one of settings, where values need no quotes.
func settings(file string) bool {
	base := path.Base(file)
	switch path.Ext(base) {
	case ".env", ".ini", ".cfg", ".conf", ".properties", ".toml", ".yaml", ".yml":
		return true
	}
	return strings.HasPrefix(base, ".env") || base == ".npmrc" || base == ".netrc" || base == ".pypirc"
}

// rehearsal reports whether a file is of tests, examples or documents, whose
// assigned secrets are made up, or is made by a program.
func rehearsal(file string) bool {
	low := strings.ToLower(file)
	base := path.Base(low)
	for _, folder := range strings.Split(path.Dir(low), "/") {
		switch folder {
		case "test", "tests", "testdata", "__tests__", "spec", "fixtures", "__fixtures__", "mocks", "__mocks__",
			"example", "examples", "docs", "doc", "node_modules", "vendor", "third_party", "dist":
			return true
		}
	}
	for _, end := range []string{".md", ".rst", ".adoc", ".lock", "-lock.json", "-lock.yaml", ".sum", ".min.js", ".map", ".svg", ".snap"} {
		if strings.HasSuffix(base, end) {
			return true
		}
	}
	return strings.Contains(base, "_test.") || strings.Contains(base, ".test.") || strings.Contains(base, ".spec.") || strings.HasPrefix(base, "test_")
}

// assigned finds values that are given to a name that says secret and that look as
// if a program or a careful person had made them. It looks at single lines: the
// expressions are slow on whole files.
func assigned(file string, data []byte) []span {
	if rehearsal(file) {
		return nil
	}
	forms := []*regexp.Regexp{quotedForm}
	if settings(file) {
		forms = append(forms, bareForm)
	}
	var all []span
	at := 0
	for line := range bytes.Lines(data) {
		if telling(line) {
			for _, form := range forms {
				for _, m := range form.FindAllSubmatchIndex(line, -1) {
					if value := string(line[m[4]:m[5]]); random(value) && !strings.EqualFold(value, string(line[m[2]:m[3]])) {
						all = append(all, span{format{rule: "assigned-secret", title: "Secret: value assigned to a name that says secret"}, at + m[4], at + m[5]})
					}
				}
			}
		}
		at += len(line)
	}
	return all
}

// telling reports whether a line can have an assignment of a secret. Packed files
// have lines without end, and no person assigned anything in them.
func telling(line []byte) bool {
	if len(line) < 12 || len(line) > 2000 || !bytes.ContainsAny(line, "=:") || !bytes.ContainsAny(line, digits) {
		return false
	}
	low := bytes.ToLower(line)
	return slices.ContainsFunc(stems, func(stem string) bool { return bytes.Contains(low, []byte(stem)) })
}

// stems are in all names that say secret.
var stems = []string{"passw", "passphrase", "secret", "token", "key", "credential"}

// random reports whether a value is no word, no name of something else, and no
// placeholder: letters and digits mixed, with an entropy that words have not.
func random(value string) bool {
	if placeholder(value) || strings.ContainsAny(value, "(){}<>$[]|,") || strings.Contains(value, "://") || strings.HasPrefix(value, "/") || strings.HasPrefix(value, "./") {
		return false
	}
	digit := strings.ContainsAny(value, digits)
	letter := strings.ContainsAny(strings.ToLower(value), letters)
	return digit && letter && len(value) >= 12 && entropy(value) >= 3.2 && !dotted.MatchString(value) && !kebab.MatchString(value)
}

var (
	dotted = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+$`) // config.api2.token
	kebab  = regexp.MustCompile(`^[a-z]+[0-9]?(?:[-_:/.][a-z0-9]{1,12})*$`)              // my-app-token-v2
)

// entropy is Shannon's, in bits a character.
func entropy(s string) float64 {
	count := map[rune]float64{}
	n := 0.0
	for _, r := range s {
		count[r]++
		n++
	}
	sum := 0.0
	for _, c := range count {
		sum -= c / n * math.Log2(c/n)
	}
	return sum
}

// pretended are parts of credentials that stand for one.
var pretended = []string{
	"example", "sample", "placeholder", "changeme", "change-me", "change_me", "replace", "your-", "your_", "yourtoken", "dummy",
	"fake", "xxxx", "redacted", "todo", "notreal", "not-a-", "insert", "abcdefgh", "12345678", "deadbeef", "****", "....", "process.env", "os.environ",
}

var variable = regexp.MustCompile(`\$\{|\{\{|<[^>]+>|%\(|^%[A-Za-z_]+%$|^\$[A-Za-z_]+`)

// placeholder reports whether a text stands for a credential and is none.
func placeholder(value string) bool {
	low := strings.ToLower(value)
	if slices.ContainsFunc(pretended, func(p string) bool { return strings.Contains(low, p) }) || variable.MatchString(value) {
		return true
	}
	// The same few characters again and again.
	return !strings.Contains(value, "-----BEGIN") && entropy(value) < 2
}
