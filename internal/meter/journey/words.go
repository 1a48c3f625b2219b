package journey

import (
	"fmt"
	"regexp"
	"strings"
)

// networks say in words what the browser calls ERR_SOMETHING. The first that a name
// begins with counts.
var networks = []struct{ name, words string }{
	{"ERR_CONNECTION_REFUSED", "the page is down: nothing accepts connections there"},
	{"ERR_NAME_NOT_RESOLVED", "the page is down: the name of its host is unknown"},
	{"ERR_ADDRESS_UNREACHABLE", "the page is down: its address cannot be reached"},
	{"ERR_INTERNET_DISCONNECTED", "this machine has no network"},
	{"ERR_PROXY_CONNECTION_FAILED", "the proxy cannot be reached"},
	{"ERR_TOO_MANY_REDIRECTS", "its redirects never end"},
	{"ERR_CERT_DATE_INVALID", "its certificate has expired or is not valid yet"},
	{"ERR_CERT_COMMON_NAME_INVALID", "its certificate is for another host"},
	{"ERR_CERT_", "nobody whom this machine trusts has signed its certificate, or it is wrong otherwise"},
	{"ERR_SSL_", "no secure connection could be made"},
	{"ERR_EMPTY_RESPONSE", "the connection ended without an answer"},
	{"ERR_CONNECTION_CLOSED", "the connection ended without an answer"},
	{"ERR_CONNECTION_RESET", "the connection was reset"},
	{"ERR_CONNECTION_TIMED_OUT", "no connection was made in time"},
	{"ERR_TIMED_OUT", "no connection was made in time"},
	{"ERR_", "it could not be loaded"},
}

var (
	network = regexp.MustCompile(`net::(ERR_[A-Z0-9_]+)`)
	answer  = regexp.MustCompile(`^status (\d{3}) of `)
	strict  = regexp.MustCompile(`strict mode violation: .* resolved to (\d+) elements`)
	covered = regexp.MustCompile(`(?m)^\s*- (<.*) intercepts pointer events`)
	unready = regexp.MustCompile(`(?m)^\s*- (element is (?:not visible|not enabled|outside of the viewport|not stable))`)
	found   = regexp.MustCompile(`locator resolved to`)
)

// words say why a step failed.
func (m Meter) words(f failure, w walk) string {
	switch {
	case f.Late:
		return fmt.Sprintf("the journey was not done within %v, and its browser was ended", walkLimit)
	case network.MatchString(f.Why):
		name := network.FindStringSubmatch(f.Why)[1]
		for _, n := range networks {
			if strings.HasPrefix(name, n.name) {
				return fmt.Sprintf("%s (%s)", n.words, name)
			}
		}
	case answer.MatchString(f.Why):
		return "the page answers " + answer.FindStringSubmatch(f.Why)[1]
	case strict.MatchString(f.Why):
		return fmt.Sprintf("the selector matches %s elements: want one", strict.FindStringSubmatch(f.Why)[1])
	case f.Timeout && w.Script == "":
		return m.late(f, w.Steps[f.Step])
	}
	// Playwright's first line says what happened, in its terms.
	line, _, _ := strings.Cut(strings.TrimSpace(f.Why), "\n")
	return strings.TrimSpace(calls.ReplaceAllString(line, ""))
}

var calls = regexp.MustCompile(`^\w+\.\w+: `)

// late says what a step waited for.
func (m Meter) late(f failure, s Step) string {
	switch s.Kind {
	case "goto", "visit":
		return fmt.Sprintf("it did not load within %v", m.load())
	case "wait-for", "expect":
		if s.Of == "hidden" {
			return fmt.Sprintf("%s was still visible after %v", s.Value, m.step())
		}
		return fmt.Sprintf("the %s %q was not there within %v", map[string]string{"text": "text", "visible": "element", "url": "address"}[s.Of], s.Value, m.step())
	}
	switch {
	case covered.MatchString(f.Why):
		return fmt.Sprintf("it was there, and something lay over it for %v: %s", m.step(), covered.FindStringSubmatch(f.Why)[1])
	case unready.MatchString(f.Why):
		return fmt.Sprintf("it was there, and for %v %s", m.step(), strings.Replace(unready.FindStringSubmatch(f.Why)[1], "element is", "it was", 1))
	case found.MatchString(f.Why):
		return fmt.Sprintf("it was there, and the page did not answer within %v", m.step())
	}
	return fmt.Sprintf("there was no such element within %v", m.step())
}
