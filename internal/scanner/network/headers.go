package network

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/scanner"
)

// Headers checks the security headers and cookies of the page that each host
// answers with, and whether http leads to https. Redirects are followed on the same
// host alone. The certificate is not looked at, which is for [TLS]; nothing secret is
// sent.
type Headers struct{}

// About implements scanner.Scanner.
func (Headers) About() scanner.About {
	return scanner.About{
		Name: "headers", Class: finding.ClassNetwork, Network: true,
		Does: "security headers and cookies of hosts", Time: 5 * time.Minute,
	}
}

// Applies implements scanner.Scanner.
func (Headers) Applies(job scanner.Job) (bool, string) {
	if len(job.Hosts) == 0 {
		return false, "no host was named"
	}
	return true, fmt.Sprintf("%d hosts", len(job.Hosts))
}

// Plant implements scanner.Scanner: a server on loopback without any of the headers.
func (Headers) Plant() scanner.Plant {
	return scanner.Plant{
		Serve: serveBare,
		Found: func(s finding.Sighting) bool { return s.Rule == "hsts-missing" },
	}
}

// halfYear is the least age of HSTS, in seconds, that SSL Labs' best grade asks for.
const halfYear = 15768000

// headerRules are the rules of the check.
//
// Medium is a header without which a known attack works on an ordinary site: a first
// visit by http, a page that is shown within another one, a script that was put into
// the page, a session's cookie that a script or http can read. Low is a second
// line of defence. Info tells attackers a version and nothing more.
var headerRules = map[string]struct{ severity, cwe, title string }{
	"http-not-redirected": {"medium", "CWE-319", "Pages are shown by http"},
	"hsts-missing":        {"medium", "CWE-319", "Browsers are not told to stay with https"},
	"hsts-short":          {"low", "CWE-319", "Browsers forget soon to stay with https"},
	"csp-missing":         {"medium", "CWE-693", "There is no Content-Security-Policy"},
	"csp-unsafe":          {"low", "CWE-693", "The Content-Security-Policy lets scripts of the page itself run"},
	"nosniff-missing":     {"low", "CWE-430", "Browsers may guess the type of files"},
	"frames-allowed":      {"medium", "CWE-1021", "The page can be shown within another site's page"},
	"referrer-missing":    {"low", "CWE-200", "Other sites may learn the page's full address"},
	"permissions-missing": {"info", "CWE-693", "There is no Permissions-Policy"},
	"cookie-not-secure":   {"medium", "CWE-614", "A cookie is sent by http too"},
	"cookie-script":       {"low", "CWE-1004", "A cookie can be read by scripts"},
	"cookie-cross-site":   {"low", "CWE-1275", "A cookie does not say whether other sites may send it"},
	"version-told":        {"info", "CWE-200", "A version of the server is told"},
}

// Scan implements scanner.Check.
func (Headers) Scan(ctx context.Context, job scanner.Job) (scanner.Report, error) {
	report := scanner.Report{Coverage: verdict.Unknown()}
	for _, text := range job.Hosts {
		h, err := parse(text)
		if err != nil {
			report.Doubts = append(report.Doubts, err.Error())
			continue
		}
		answer, err := get(ctx, h) //nolint:bodyclose // get closes it
		if ctx.Err() != nil {
			return scanner.Report{}, ctx.Err()
		}
		if err != nil {
			report.Doubts = append(report.Doubts, h.address()+" could not be checked: "+why(err))
			continue
		}
		p := page{host: h, answer: answer}
		p.check()
		if doubt := p.plain(ctx); doubt != "" {
			report.Doubts = append(report.Doubts, doubt)
		}
		report.Sightings = append(report.Sightings, p.found...)
		report.Notes = append(report.Notes, fmt.Sprintf("%s: %s with status %d", h.address(), answer.Request.URL.Redacted(), answer.StatusCode))
	}
	return report, nil
}

// redirects is how many are followed.
const redirects = 5

// client follows redirects on one host. It keeps the last answer when one leads
// elsewhere: that answer is the host's own.
func client(name string) *http.Client {
	return &http.Client{
		Timeout: patience,
		CheckRedirect: func(next *http.Request, before []*http.Request) error {
			if next.URL.Hostname() != name || len(before) > redirects {
				return http.ErrUseLastResponse
			}
			return nil
		},
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       func(ctx context.Context, _, address string) (net.Conn, error) { return connect(ctx, address) },
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10},
		},
	}
}

// get asks for a host's page, of which only the headers are returned: the body is
// closed. A status of 500 and above is no page: what the headers
// are when the host is well is not known.
func get(ctx context.Context, h host) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "candlefish-security-gate")
	answer, err := client(h.name).Do(request)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.CopyN(io.Discard, answer.Body, 64<<10) // only so that the server is not cut off
	if answer.StatusCode >= http.StatusInternalServerError {
		return nil, fmt.Errorf("it answered with status %d", answer.StatusCode)
	}
	return answer, nil
}

type page struct {
	host   host
	answer *http.Response
	found  []finding.Sighting
}

func (p *page) check() {
	header := p.answer.Header
	secure := p.answer.Request.URL.Scheme == "https"
	if secure {
		switch age := maxAge(header.Get("Strict-Transport-Security")); {
		case age <= 0:
			p.add("hsts-missing", "The answer has no Strict-Transport-Security with a max-age: a first visit can be kept on http.")
		case age < halfYear:
			p.add("hsts-short", fmt.Sprintf("The max-age of Strict-Transport-Security is %d seconds: half a year, %d, is usual.", age, halfYear))
		}
	}
	policies := header.Values("Content-Security-Policy")
	p.policy(policies)
	if !strings.EqualFold(strings.TrimSpace(header.Get("X-Content-Type-Options")), "nosniff") {
		p.add("nosniff-missing", "The answer has no X-Content-Type-Options: nosniff.")
	}
	if directive(policies, "frame-ancestors") == nil && !framesRefused(header.Get("X-Frame-Options")) {
		p.add("frames-allowed", "The answer has neither frame-ancestors in its Content-Security-Policy nor X-Frame-Options.")
	}
	if referrer := strings.ToLower(header.Get("Referrer-Policy")); referrer == "" || strings.HasSuffix(referrer, "unsafe-url") {
		p.add("referrer-missing", "The answer has no Referrer-Policy that keeps the address to the own site.")
	}
	if header.Get("Permissions-Policy") == "" {
		p.add("permissions-missing", "The answer has no Permissions-Policy: pages may ask for camera, microphone and place.")
	}
	for _, c := range p.answer.Cookies() {
		p.cookie(c, secure)
	}
	for _, name := range []string{"Server", "X-Powered-By", "X-AspNet-Version"} {
		if v := header.Get(name); strings.ContainsAny(v, "0123456789") {
			p.add("version-told", fmt.Sprintf("The header %s is %q.", name, v))
		}
	}
}

// policy judges the Content-Security-Policy. A policy without a directive for scripts
// lets all of them run.
func (p *page) policy(policies []string) {
	scripts := directive(policies, "script-src")
	if scripts == nil {
		scripts = directive(policies, "default-src")
	}
	if scripts == nil {
		p.add("csp-missing", "The answer has no Content-Security-Policy that says which scripts may run.")
		return
	}
	nonce := false
	for _, s := range scripts {
		nonce = nonce || strings.HasPrefix(s, "'nonce-") || strings.HasPrefix(s, "'sha")
	}
	for _, s := range scripts {
		// Browsers ignore 'unsafe-inline' beside a nonce or a hash.
		if s == "'unsafe-inline'" && !nonce || s == "*" || s == "data:" || s == "http:" || s == "https:" && !nonce {
			p.add("csp-unsafe", fmt.Sprintf("The Content-Security-Policy has %s for scripts.", s))
			return
		}
	}
}

// directive returns the values of a directive of the first policy that has it, and nil
// if none has. Several policies all hold, so one is enough.
func directive(policies []string, name string) []string {
	for _, policy := range policies {
		for _, one := range strings.FieldsFunc(policy, func(r rune) bool { return r == ';' || r == ',' }) {
			if words := strings.Fields(strings.ToLower(one)); len(words) > 0 && words[0] == name {
				return words // with the name: a directive without values is one
			}
		}
	}
	return nil
}

func framesRefused(value string) bool {
	v := strings.ToLower(strings.TrimSpace(value))
	return v == "deny" || v == "sameorigin"
}

// cookie judges one cookie. Its value is never part of a finding.
func (p *page) cookie(c *http.Cookie, secure bool) {
	name := fmt.Sprintf("The cookie %q", c.Name)
	if secure && !c.Secure {
		p.addAt("cookie-not-secure", c.Name, name+" has no Secure.")
	}
	if !c.HttpOnly {
		p.addAt("cookie-script", c.Name, name+" has no HttpOnly: a script that was put into the page can read it.")
	}
	if c.SameSite == 0 || c.SameSite == http.SameSiteDefaultMode || c.SameSite == http.SameSiteNoneMode && !c.Secure {
		p.addAt("cookie-cross-site", c.Name, name+" has no SameSite that holds.")
	}
}

// plain asks by http, where https is on its usual port, and wants a redirect to https
// or nothing. The answer is a doubt, or "".
func (p *page) plain(ctx context.Context) string {
	h := p.host
	switch {
	case h.http && p.answer.Request.URL.Scheme == "http":
		p.add("http-not-redirected", "The page is shown by http, without a redirect to https.")
		return ""
	case h.http || h.port != "443":
		return ""
	}
	h.http, h.port = true, "80"
	answer, err := get(ctx, h) //nolint:bodyclose // get closes it
	switch {
	case err == nil && answer.Request.URL.Scheme == "http" && !strings.HasPrefix(answer.Header.Get("Location"), "https://") && answer.StatusCode < http.StatusBadRequest:
		p.add("http-not-redirected", "The page is shown by http, without a redirect to https.")
	case err != nil && ctx.Err() == nil && !closed(err):
		return h.address() + " could not be checked: " + why(err)
	}
	return ""
}

// closed reports whether a host has nothing on a port, which is as good as a redirect.
func closed(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" && !op.Timeout()
}

func (p *page) add(rule, message string) { p.addAt(rule, "", message) }

// addAt adds a finding about one named cookie, or about the page as a whole. A host has
// one finding of a rule, so the name is part of the rule.
func (p *page) addAt(rule, name, message string) {
	r := headerRules[rule]
	if name != "" {
		rule += ":" + name
	}
	p.found = append(p.found, finding.Sighting{
		Tool: "headers", Rule: rule, Class: finding.ClassNetwork, Title: r.title, Message: message, CWE: []string{r.cwe},
		Help: "https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html", Rating: finding.Rating{Word: r.severity},
		Location: finding.Location{Host: p.host.address()},
	})
}

// maxAge reads Strict-Transport-Security; 0 if there is no age.
func maxAge(value string) int {
	for _, part := range strings.Split(value, ";") {
		name, age, _ := strings.Cut(strings.TrimSpace(part), "=")
		if strings.EqualFold(strings.TrimSpace(name), "max-age") {
			n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(age), `"`))
			if err == nil && n > 0 {
				return n
			}
		}
	}
	return 0
}
