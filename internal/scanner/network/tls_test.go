package network

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/scanner"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// An authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
	file        string // for ca-file
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newAuthority(t testing.TB) authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test root"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.AddDate(-30, 0, 0), NotAfter: now.AddDate(10, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return authority{certificate, key, file}
}

// issue signs a certificate for loopback, changed by change.
func (a authority) issue(t testing.TB, key crypto.Signer, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "site"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(0, 2, 0),
	}
	if change != nil {
		change(template)
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

// site answers by TLS with these headers.
func site(t testing.TB, config *tls.Config, header http.Header) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
	}))
	server.Config.ErrorLog = nil
	listener, stop := server.Listener, func() { server.Close() }
	server.Listener = tls.NewListener(listener, config)
	server.Config.ErrorLog = quiet()
	server.Start()
	t.Cleanup(stop)
	return listener.Addr().String()
}

func scanTLS(t *testing.T, ca string, hosts ...string) scanner.Report {
	t.Helper()
	r, err := TLS{}.Scan(t.Context(), scanner.Job{Hosts: hosts, Now: now, Settings: map[string]string{"ca-file": ca}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func rules(sightings []finding.Sighting) []string {
	var all []string
	for _, s := range sightings {
		all = append(all, s.Rule+" "+s.Rating.Word)
	}
	slices.Sort(all)
	return all
}

func TestTLSFindsEachFault(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	rsaKey := func(bits int) *rsa.PrivateKey {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	own := func(change func(*x509.Certificate)) []tls.Certificate {
		return []tls.Certificate{ca.issue(t, newKey(t), change)}
	}
	until := func(at time.Time) []tls.Certificate { return own(func(c *x509.Certificate) { c.NotAfter = at }) }
	hsts := http.Header{"Strict-Transport-Security": {"max-age=31536000"}}
	big := rsaKey(2048)
	for name, c := range map[string]struct {
		config *tls.Config
		header http.Header
		want   []string
		grade  string
	}{
		"nothing":               {&tls.Config{Certificates: own(nil), MinVersion: tls.VersionTLS12}, hsts, nil, "A+"},
		"no HSTS":               {&tls.Config{Certificates: own(nil), MinVersion: tls.VersionTLS12}, nil, nil, "A"},
		"a short HSTS":          {&tls.Config{Certificates: own(nil), MinVersion: tls.VersionTLS12}, http.Header{"Strict-Transport-Security": {"max-age=60"}}, nil, "A"},
		"TLS 1.3 alone":         {&tls.Config{Certificates: own(nil), MinVersion: tls.VersionTLS13}, hsts, nil, "A+"},
		"expired":               {&tls.Config{Certificates: until(now.Add(-time.Hour))}, hsts, []string{"certificate-expired critical"}, "F"},
		"six days":              {&tls.Config{Certificates: until(now.AddDate(0, 0, 6))}, hsts, []string{"certificate-ends-7-days high"}, "A"},
		"29 days":               {&tls.Config{Certificates: until(now.AddDate(0, 0, 29))}, hsts, []string{"certificate-ends-30 medium"}, "A+"},
		"31 days":               {&tls.Config{Certificates: until(now.AddDate(0, 0, 31))}, hsts, nil, "A+"},
		"tomorrow":              {&tls.Config{Certificates: own(func(c *x509.Certificate) { c.NotBefore = now.AddDate(0, 0, 1) })}, hsts, []string{"certificate-not-yet critical"}, "F"},
		"another name":          {&tls.Config{Certificates: own(func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"a.example", "b.example"} })}, hsts, []string{"certificate-wrong-name critical"}, "F"},
		"expired, another name": {&tls.Config{Certificates: own(func(c *x509.Certificate) { c.IPAddresses, c.NotAfter = nil, now.Add(-time.Hour) })}, hsts, []string{"certificate-expired critical", "certificate-wrong-name critical"}, "F"},
		"signed by itself":      {&tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}, hsts, []string{"certificate-self-signed high"}, "F"},
		"an unknown root":       {&tls.Config{Certificates: []tls.Certificate{newAuthority(t).issue(t, newKey(t), nil)}}, hsts, []string{"certificate-untrusted high"}, "F"},
		"RSA of 1024 bits":      {&tls.Config{Certificates: []tls.Certificate{ca.issue(t, rsaKey(1024), nil)}, MinVersion: tls.VersionTLS12}, hsts, []string{"key-short high"}, "F"},
		"TLS 1.0 alone":         {&tls.Config{Certificates: own(nil), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, hsts, []string{"protocol-old-only high"}, "C"},
		"TLS 1.0 too":           {&tls.Config{Certificates: own(nil), MinVersion: tls.VersionTLS10}, hsts, []string{"protocol-old medium"}, "B"},
		"TLS 1.1 too":           {&tls.Config{Certificates: own(nil), MinVersion: tls.VersionTLS11}, hsts, []string{"protocol-old medium"}, "B"},
		"RC4": {&tls.Config{Certificates: []tls.Certificate{ca.issue(t, big, nil)}, MinVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA}}, hsts,
			[]string{"cipher-broken high"}, "C"},
		"3DES": {&tls.Config{Certificates: []tls.Certificate{ca.issue(t, big, nil)}, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}}, hsts,
			[]string{"cipher-broken high"}, "C"},
		"static RSA": {&tls.Config{Certificates: []tls.Certificate{ca.issue(t, big, nil)}, MinVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_128_CBC_SHA}}, hsts,
			[]string{"cipher-no-secrecy low"}, "B"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := site(t, c.config, c.header)
			r := scanTLS(t, ca.file, host)
			if d := cmp.Diff(c.want, rules(r.Sightings)); d != "" {
				t.Errorf("rules (-want +got):\n%s\n%+v", d, r.Sightings)
			}
			if len(r.Doubts) > 0 || len(r.Notes) != 1 || !strings.HasPrefix(r.Notes[0], host+": grade "+c.grade+", ") {
				t.Errorf("notes %q, doubts %q, want grade %s", r.Notes, r.Doubts, c.grade)
			}
			for _, s := range r.Sightings {
				if s.Location.Host != host || s.Class != finding.ClassNetwork || s.Message == "" || s.Title == "" {
					t.Errorf("%+v", s)
				}
			}
		})
	}
}

func TestTLSWithoutCAFileTrustsTheSystemAlone(t *testing.T) {
	t.Parallel()
	host := site(t, &tls.Config{Certificates: []tls.Certificate{newAuthority(t).issue(t, newKey(t), nil)}}, nil)
	if r := scanTLS(t, "", host); !slices.Equal(rules(r.Sightings), []string{"certificate-untrusted high"}) {
		t.Errorf("%+v", r)
	}
	for name, ca := range map[string]string{"missing": filepath.Join(t.TempDir(), "none.pem"), "empty": emptyFile(t)} {
		if _, err := (TLS{}).Scan(t.Context(), scanner.Job{Hosts: []string{host}, Now: now, Settings: map[string]string{"ca-file": ca}}); err == nil {
			t.Errorf("%s ca-file: no error", name)
		}
	}
}

func TestTLSIntermediatesAreJudged(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	between := authority{key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "between"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(0, 0, 3), KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, ca.certificate, between.key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	if between.certificate, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	leaf := between.issue(t, newKey(t), nil)
	alone := site(t, &tls.Config{Certificates: []tls.Certificate{leaf}}, nil)
	leaf.Certificate = append(leaf.Certificate, raw)
	whole := site(t, &tls.Config{Certificates: []tls.Certificate{leaf}}, nil)
	r := scanTLS(t, ca.file, whole)
	if !slices.Equal(rules(r.Sightings), []string{"certificate-ends-7-days high"}) || !strings.Contains(r.Sightings[0].Message, `of "between" in the chain`) {
		t.Errorf("an intermediate that ends: %+v", r.Sightings)
	}
	if r := scanTLS(t, ca.file, alone); !slices.Equal(rules(r.Sightings), []string{"certificate-untrusted high"}) {
		t.Errorf("a missing intermediate: %+v", r.Sightings)
	}
}

func TestTLSNoAnswerIsADoubt(t *testing.T) {
	t.Parallel()
	for name, host := range map[string]string{
		"nobody listens": unused(t),
		"a reset":        listen(t, func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() }),
		"plain HTTP":     strings.TrimPrefix(plainSite(t, nil), "http://"),
		"rubbish":        listen(t, func(c net.Conn) { _, _ = c.Write([]byte("220 mail.example ESMTP\r\n")); _ = c.Close() }),
		"no such name":   "host.invalid",
		"a bad name":     "two words",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if r := scanTLS(t, "", host); len(r.Doubts) != 1 || len(r.Sightings) > 0 || len(r.Notes) > 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestTLSSilenceEndsWithTheRun(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	silent := listen(t, func(net.Conn) { cancel() }) // it has the connection and says nothing
	if r, err := (TLS{}).Scan(ctx, scanner.Job{Hosts: []string{silent}, Now: now}); err == nil {
		t.Errorf("no error: %+v", r)
	}
}

func TestTLSFindsItsPlant(t *testing.T) {
	t.Parallel()
	for _, check := range []scanner.Check{TLS{}, Headers{}} {
		plant := check.Plant()
		host, stop, err := plant.Serve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r, err := check.Scan(t.Context(), scanner.Job{Hosts: []string{host}, Now: now, Planted: true})
		stop()
		if err != nil || !slices.ContainsFunc(r.Sightings, plant.Found) {
			t.Errorf("%s: %v, %+v", check.About().Name, err, r)
		}
		if r, err := check.Scan(t.Context(), scanner.Job{Hosts: []string{host}, Now: now}); err != nil || len(r.Doubts) == 0 {
			t.Errorf("%s: the server did not stop: %v, %+v", check.About().Name, err, r)
		}
	}
}

func TestWeakSignatures(t *testing.T) {
	t.Parallel()
	leaf := &x509.Certificate{SignatureAlgorithm: x509.SHA1WithRSA, Subject: pkix.Name{CommonName: "site"}, Issuer: pkix.Name{CommonName: "root"}}
	root := &x509.Certificate{SignatureAlgorithm: x509.SHA1WithRSA, Subject: pkix.Name{CommonName: "root"}, Issuer: pkix.Name{CommonName: "root"}}
	o := &observed{chain: []*x509.Certificate{leaf, root}}
	if got := o.strength(); len(got) != 1 || got[0].rule != "signature-weak" {
		t.Errorf("strength() = %+v", got)
	}
}

func TestGradeIsTheWorst(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rules []string
		hsts  bool
		want  string
	}{{nil, true, "A+"}, {nil, false, "A"}, {[]string{"certificate-ends-30"}, true, "A+"}, {[]string{"protocol-old"}, true, "B"}, {[]string{"key-short", "protocol-old"}, true, "F"}} {
		if got := Grade(c.rules, c.hsts); got != c.want {
			t.Errorf("Grade(%q, %t) = %s, want %s", c.rules, c.hsts, got, c.want)
		}
	}
	for id, r := range tlsRules {
		if _, ok := finding.ParseSeverity(r.severity); !ok || !slices.Contains([]string{"A+", "A", "B", "C", "F"}, r.grade) || r.cwe == "" || r.title == "" {
			t.Errorf("%s: %+v", id, r)
		}
	}
}

func TestParseHosts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"example.com":             "https://example.com:443/",
		"example.com.":            "https://example.com:443/",
		"example.com:8443":        "https://example.com:8443/",
		"::1":                     "https://[::1]:443/",
		"[::1]:8443":              "https://[::1]:8443/",
		"https://example.com/a":   "https://example.com:443/a",
		"http://example.com":      "http://example.com:80/",
		"https://example.com:44":  "https://example.com:44/",
		"":                        "",
		"ftp://example.com":       "",
		"https://u:p@example.com": "",
		"https://":                "",
		"a/b":                     "",
		"u@example.com":           "",
		"two words":               "",
	} {
		h, err := parse(text)
		got := ""
		if err == nil {
			got = h.url()
		}
		if got != want || err != nil && strings.Contains(err.Error(), "u:p") {
			t.Errorf("parse(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("https://[::1]:443/a?b")
	f.Add(".")
	f.Fuzz(func(t *testing.T, text string) {
		if h, err := parse(text); err == nil && (h.name == "" || h.port == "") {
			t.Errorf("parse(%q) = %+v", text, h)
		}
	})
}

func selfSigned(t testing.TB) tls.Certificate {
	t.Helper()
	key := newKey(t)
	self := authority{key: key}
	self.certificate = &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "site"}}
	return self.issue(t, key, nil)
}

// listen accepts connections and gives each to do.
func listen(t testing.TB, do func(net.Conn)) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go do(c)
		}
	}()
	return l.Addr().String()
}

func unused(t testing.TB) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func plainSite(t testing.TB, header http.Header) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
		fmt.Fprintln(w, "page")
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func emptyFile(t testing.TB) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
