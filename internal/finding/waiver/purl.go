package waiver

import (
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/candlefish/deploy-action/internal/finding"
)

// purlTypes are the types of package URLs by the ecosystem of the OSV schema.
var purlTypes = map[string]string{
	"npm": "npm", "Go": "golang", "PyPI": "pypi", "RubyGems": "gem", "Maven": "maven", "NuGet": "nuget",
	"crates.io": "cargo", "Packagist": "composer", "Pub": "pub", "Hex": "hex", "GitHub Actions": "github",
	"Debian": "deb/debian", "Ubuntu": "deb/ubuntu", "Alpine": "apk/alpine", "Wolfi": "apk/wolfi",
	"Chainguard": "apk/chainguard", "Red Hat": "rpm/redhat", "Rocky Linux": "rpm/rocky", "AlmaLinux": "rpm/almalinux",
}

// PURL returns a package as a package URL, "" if its ecosystem has none here.
func PURL(p finding.Package) string {
	u, ok := purlOf(p)
	if !ok {
		return ""
	}
	return u.ToString()
}

func purlOf(p finding.Package) (packageurl.PackageURL, bool) {
	ecosystem, _, _ := strings.Cut(p.Ecosystem, ":")
	kind, ok := purlTypes[ecosystem]
	if !ok || p.Name == "" {
		return packageurl.PackageURL{}, false
	}
	kind, namespace, isSystem := strings.Cut(kind, "/")
	name := p.Name
	if kind == "maven" {
		name = strings.Replace(name, ":", "/", 1)
	}
	if i := strings.LastIndex(name, "/"); i >= 0 && !isSystem {
		namespace, name = name[:i], name[i+1:]
	}
	u := *packageurl.NewPackageURL(kind, namespace, name, p.Version, nil, "")
	return u, u.Normalize() == nil
}

// samePackage reports whether a package URL names a package. Without a version it
// names all versions. One with qualifiers, such as an architecture, names what is
// not known of a finding, and matches nothing.
func samePackage(purl string, p finding.Package) bool {
	want, err := packageurl.FromString(purl)
	if err != nil || len(want.Qualifiers) > 0 || want.Subpath != "" {
		return false
	}
	got, ok := purlOf(p)
	return ok && want.Type == got.Type && want.Namespace == got.Namespace && want.Name == got.Name &&
		(want.Version == "" || version(want.Version) == version(got.Version))
}

// version is a version as it is compared: modules of Go have a "v", advisories not.
func version(v string) string { return strings.TrimPrefix(v, "v") }
