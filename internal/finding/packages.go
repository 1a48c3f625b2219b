package finding

import (
	"path"
	"regexp"
	"strings"
)

// ecosystems are the names that tools give to the ecosystems of the OSV schema
// (https://ossf.github.io/osv-schema/#defined-ecosystems), in lower case and
// without a release as in "Debian:12". The others: the types of Trivy (its
// pkg/fanal/types/const.go), of package URLs, and the languages that Snyk names.
// Distributions with one package format have one name: an image has only one.
var ecosystems = spellings(map[string]string{
	"npm":            "node-pkg nodejs node javascript yarn pnpm bun deno",
	"go":             "golang gobinary gomod gomodules stdlib",
	"pypi":           "pip python python-pkg pipenv poetry uv pylock",
	"maven":          "jar pom gradle java sbt",
	"rubygems":       "gem gemspec bundler ruby",
	"crates.io":      "cargo rust rustbinary rust-binary",
	"nuget":          "dotnet dotnet-core .net packages-props",
	"packagist":      "composer composer-vendor php",
	"hex":            "mix elixir erlang",
	"pub":            "dart",
	"swift":          "swifturl",
	"cocoapods":      "cocoa",
	"conan":          "conancenter c++",
	"github actions": "actions githubactions github-actions",
	"deb":            "debian ubuntu dpkg echo",
	"apk":            "alpine wolfi chainguard minimos alpaquita",
	"rpm": "redhat red_hat rhel centos rocky rocky_linux alma almalinux amazon amazon_linux oracle oracle_linux fedora photon photon_os " +
		"suse opensuse opensuse.leap opensuse.tumbleweed suse_linux_enterprise_server azurelinux azure_linux cbl-mariner mariner openeuler mageia",
})

// spellings turns lists of names, with _ for a space, into a table.
func spellings(lists map[string]string) map[string]string {
	table := map[string]string{}
	for name, others := range lists {
		table[name] = name
		for other := range strings.FieldsSeq(others) {
			table[strings.ReplaceAll(other, "_", " ")] = name
		}
	}
	return table
}

// ecosystem returns one name for all spellings of an ecosystem.
func ecosystem(name string) string {
	name, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(name)), ":")
	if one, ok := ecosystems[name]; ok {
		return one
	}
	return name
}

// separators are what PyPI takes for one dash (PEP 503).
var separators = regexp.MustCompile(`[-_.]+`)

// packageName returns one spelling of a package's name in an ecosystem: of those
// that its registry takes for the same, and no more. npm has had packages whose
// names differ only in case.
func packageName(ecosystem, name string) string {
	name = strings.TrimSpace(name)
	switch ecosystem {
	case "pypi":
		return separators.ReplaceAllString(strings.ToLower(name), "-")
	case "crates.io":
		return strings.ReplaceAll(strings.ToLower(name), "_", "-")
	case "nuget", "packagist", "github actions", "hex":
		return strings.ToLower(name)
	case "maven":
		return strings.ReplaceAll(name, "/", ":")
	case "go":
		return module(name)
	}
	return name
}

// module returns the name of a Go module. The standard library is "stdlib" in the
// Go vulnerability database; others name it, or its package, as "net/http": the
// first element of other modules has a dot.
func module(name string) string {
	name = strings.TrimPrefix(name, "std/")
	first, _, _ := strings.Cut(name, "/")
	if name == "" || name == "toolchain" || strings.HasPrefix(name, "cmd/") || strings.Contains(first, ".") {
		return name
	}
	return "stdlib"
}

// file returns one spelling of a path of the workspace.
func file(name string) string {
	if name == "" {
		return ""
	}
	return path.Clean(strings.TrimPrefix(name, "./"))
}

// place returns where a vulnerable package or a whole file is: its image, else its
// manifest.
func place(l Location) string {
	if l.Image != "" {
		return "image:" + l.Image
	}
	return file(l.Path)
}

// tag is the end of an image's reference: what changes with each build.
var tag = regexp.MustCompile(`(:[\w][\w.-]{0,127})?(@[a-z0-9]+:[0-9a-f]+)?$`)

// Lasting returns where a problem is without what changes with each build or edit:
// a path, "image:name" without tag and digest, or "host:name".
func (l Location) Lasting() string {
	switch {
	case l.Image != "":
		return "image:" + tag.ReplaceAllString(l.Image, "")
	case l.Host != "":
		return "host:" + host(l.Host)
	}
	return file(l.Path)
}
