package network

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/scanner"
)

// TLS checks the certificate of each host, its chain, the versions of the protocol
// and the weak ciphers that it offers, and grades them, see [Grade].
type TLS struct{}

// CAFile is the setting with a file of roots, in PEM, that are trusted beside the
// system's.
const CAFile = "ca-file"

// About implements scanner.Scanner.
func (TLS) About() scanner.About {
	return scanner.About{
		Name: "tls", Class: finding.ClassNetwork, Network: true,
		Does: "certificates and TLS settings of hosts", Time: 10 * time.Minute,
	}
}

// Applies implements scanner.Scanner.
func (TLS) Applies(job scanner.Job) (bool, string) {
	n := 0
	for _, text := range job.Hosts {
		if h, err := parse(text); err != nil || !h.http {
			n++ // what cannot be read is told by the scan
		}
	}
	if n == 0 {
		return false, "no host was named"
	}
	return true, fmt.Sprintf("%d hosts", n)
}

// Plant implements scanner.Scanner: a server on loopback whose certificate has
// expired.
func (TLS) Plant() scanner.Plant {
	return scanner.Plant{
		Serve: serveExpired,
		Found: func(s finding.Sighting) bool { return s.Rule == "certificate-expired" },
	}
}

// Scan implements scanner.Check.
func (TLS) Scan(ctx context.Context, job scanner.Job) (scanner.Report, error) {
	roots, err := trusted(job)
	if err != nil {
		return scanner.Report{}, err
	}
	report := scanner.Report{Coverage: verdict.Unknown()}
	for _, text := range job.Hosts {
		h, err := parse(text)
		if err != nil {
			report.Doubts = append(report.Doubts, err.Error())
			continue
		}
		if h.http {
			continue
		}
		o, err := observe(ctx, h, roots)
		if ctx.Err() != nil {
			return scanner.Report{}, ctx.Err()
		}
		if err != nil {
			report.Doubts = append(report.Doubts, h.address()+" could not be checked: "+why(err))
			continue
		}
		if len(o.unsure) > 0 {
			report.Doubts = append(report.Doubts, h.address()+" gave no answer about "+strings.Join(o.unsure, ", "))
		}
		faults := o.faults(job.Now)
		for _, f := range faults {
			report.Sightings = append(report.Sightings, f.sighting(h))
		}
		report.Notes = append(report.Notes, o.note(h, Grade(o.ruleIDs(faults), o.hsts), job.Now))
	}
	return report, nil
}

// trusted are the roots of certificates: the system's, and those of the setting
// ca-file.
func trusted(job scanner.Job) (*x509.CertPool, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's roots of certificates: %w", err)
	}
	file := job.Settings[CAFile]
	if file == "" {
		return roots, nil
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(job.Workspace, file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read ca-file: %w", err)
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("ca-file %s has no certificate", job.Settings[CAFile])
	}
	return roots, nil
}

// An observed is what was seen of a host.
type observed struct {
	host     host
	roots    *x509.CertPool
	chain    []*x509.Certificate // as sent, the host's own first
	version  uint16              // of the handshake without limits
	offered  []uint16            // versions, the oldest first
	weak     []uint16            // ciphers that it takes
	noSecret []uint16            // ciphers without forward secrecy that it takes
	stapled  bool
	hsts     bool     // Strict-Transport-Security of half a year or more
	unsure   []string // what it gave no answer about
}

// observe connects to a host once without limits, once for each version of the
// protocol, and once for each weak cipher that it takes, and one more.
func observe(ctx context.Context, h host, roots *x509.CertPool) (*observed, error) {
	o := &observed{host: h, roots: roots}
	state, err := o.shake(ctx, &tls.Config{MinVersion: tls.VersionTLS10, CipherSuites: everySuite()})
	if err != nil {
		return nil, err
	}
	o.chain, o.version, o.stapled = state.PeerCertificates, state.Version, len(state.OCSPResponse) > 0
	for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
		if v == state.Version {
			o.offered = append(o.offered, v)
			continue
		}
		_, err := o.shake(ctx, &tls.Config{MinVersion: v, MaxVersion: v, CipherSuites: everySuite()})
		switch {
		case err == nil:
			o.offered = append(o.offered, v)
		case !refused(err):
			o.unsure = append(o.unsure, tls.VersionName(v))
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	if o.offered[0] < tls.VersionTLS13 {
		o.weak = o.accepted(ctx, suites(broken))
		o.noSecret = o.accepted(ctx, suites(staticRSA))
	}
	o.hsts = o.strict(ctx)
	return o, ctx.Err()
}

// shake makes a handshake and closes the connection. The certificate is judged
// later, by rules of its own.
func (o *observed) shake(ctx context.Context, config *tls.Config) (tls.ConnectionState, error) {
	conn, err := o.open(ctx, config)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState(), nil
}

func (o *observed) open(ctx context.Context, config *tls.Config) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	raw, err := connect(ctx, o.host.address())
	if err != nil {
		return nil, unreachable{err}
	}
	config.InsecureSkipVerify = true // what is wrong with it is what we look for
	if net.ParseIP(o.host.name) == nil {
		config.ServerName = o.host.name
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return conn, nil
}

// unreachable is the error of a connection that was not made.
type unreachable struct{ error }

func (u unreachable) Unwrap() error { return u.error }

// refused reports whether a host said no to a handshake: by an alert, or by closing
// the connection, as old ones do. Silence is no answer.
func refused(err error) bool {
	var never unreachable
	var network net.Error
	return !errors.As(err, &never) && (!errors.As(err, &network) || !network.Timeout()) && !errors.Is(err, context.DeadlineExceeded)
}

// accepted returns the ciphers of a list that the host takes: it is asked until it
// takes none of those that are left.
func (o *observed) accepted(ctx context.Context, ids []uint16) []uint16 {
	var taken []uint16
	for len(ids) > 0 && ctx.Err() == nil {
		state, err := o.shake(ctx, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS12, CipherSuites: ids})
		if err != nil {
			if !refused(err) {
				o.unsure = append(o.unsure, "weak ciphers")
			}
			break
		}
		left := make([]uint16, 0, len(ids))
		for _, id := range ids {
			if id != state.CipherSuite {
				left = append(left, id)
			}
		}
		if len(left) == len(ids) {
			break // it chose what was not offered
		}
		taken, ids = append(taken, state.CipherSuite), left
	}
	return taken
}

// strict asks for the page once, and says whether it has HSTS. That browsers are
// told to stay with TLS is part of the best grade; that the header is missing is for
// the check of headers.
func (o *observed) strict(ctx context.Context) bool {
	client := &http.Client{
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableKeepAlives: true, DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return o.open(ctx, &tls.Config{MinVersion: tls.VersionTLS10, CipherSuites: everySuite()})
		}},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.host.url(), nil)
	if err != nil {
		return false
	}
	answer, err := client.Do(request)
	if err != nil {
		return false
	}
	defer func() { _ = answer.Body.Close() }()
	return maxAge(answer.Header.Get("Strict-Transport-Security")) >= halfYear
}

// The kinds of weak ciphers.
const (
	broken    = "broken"     // RC4, 3DES: known attacks, RFC 7465 and CVE-2016-2183
	staticRSA = "static RSA" // who gets the key reads what was recorded before
)

// suites are the ciphers of a kind that crypto/tls knows. Those that it does not
// know, such as of export strength, cannot be found.
func suites(kind string) []uint16 {
	var ids []uint16
	for _, s := range append(tls.InsecureCipherSuites(), tls.CipherSuites()...) {
		is := ""
		switch {
		case strings.Contains(s.Name, "_RC4_"), strings.Contains(s.Name, "_3DES_"):
			is = broken
		case strings.HasPrefix(s.Name, "TLS_RSA_"):
			is = staticRSA
		}
		if is == kind {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// everySuite is what a client offers that wants to see all there is.
func everySuite() []uint16 {
	var ids []uint16
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		ids = append(ids, s.ID)
	}
	return ids
}

// note says what was seen, in one line.
func (o *observed) note(h host, grade string, now time.Time) string {
	days := int(o.chain[0].NotAfter.Sub(now).Hours() / 24)
	var versions []string
	for _, v := range o.offered {
		versions = append(versions, strings.TrimPrefix(tls.VersionName(v), "TLS "))
	}
	stapled := "no OCSP answer stapled"
	if o.stapled {
		stapled = "an OCSP answer stapled"
	}
	return fmt.Sprintf("%s: grade %s, TLS %s, certificate until %s (%d days), %s", h.address(), grade,
		strings.Join(versions, " "), o.chain[0].NotAfter.UTC().Format(time.DateOnly), days, stapled)
}
