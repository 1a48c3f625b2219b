package input

import "regexp"

// A Form is the format of a String, with a description for error messages.
type Form struct {
	Want    string // completes "must be …"
	Pattern *regexp.Regexp
	Max     int // the longest text allowed, in bytes; zero is no limit
}

func (f *Form) match(text string) bool {
	return (f.Max == 0 || len(text) <= f.Max) && f.Pattern.MatchString(text)
}

const (
	dnsLabel  = `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
	dnsName   = dnsLabel + `(\.` + dnsLabel + `)*`
	tagOrSum  = `(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})`
	imagePart = `[a-z0-9]+([._-]+[a-z0-9]+)*`
	imageHost = `[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?`
)

// The formats that several use cases share.
var (
	// FormLabel is a DNS label: the name of a namespace, Service or container.
	FormLabel = &Form{
		Want:    "a DNS label: lower-case letters, digits and '-', at most 63",
		Pattern: regexp.MustCompile(`^` + dnsLabel + `$`),
		Max:     63,
	}
	// FormName is a DNS name: the name of a Deployment or route.
	FormName = &Form{
		Want:    "a DNS name: lower-case letters, digits, '-' and '.', at most 253",
		Pattern: regexp.MustCompile(`^` + dnsName + `$`),
		Max:     253,
	}
	// FormImage is an image reference with a tag, a digest or both.
	FormImage = &Form{
		Want:    "an image with a tag or digest, such as registry.example/website:1.4.2",
		Pattern: regexp.MustCompile(`^(` + imageHost + `/)?` + imagePart + `(/` + imagePart + `)*` + tagOrSum + `$`),
	}
	// FormRepository is the full name of a repository on GitHub.
	FormRepository = &Form{
		Want:    "owner/name",
		Pattern: regexp.MustCompile(`^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$`),
	}
	// FormLabelKey is the key of a Kubernetes label.
	FormLabelKey = &Form{
		Want:    "a label key, such as version or example.com/version",
		Pattern: regexp.MustCompile(`^(` + dnsName + `/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`),
		Max:     317,
	}
	// FormHeader is the name of an HTTP header.
	FormHeader = &Form{
		Want:    "the name of an HTTP header",
		Pattern: regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"),
	}
	// FormPath is the path of a URL, with or without a query.
	FormPath = &Form{
		Want:    "a path that starts with '/'",
		Pattern: regexp.MustCompile(`^/[!-~]*$`),
	}
)
