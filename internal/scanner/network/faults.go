package network

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/candlefish/deploy-action/internal/finding"
)

// A fault is one thing that is wrong with a host.
type fault struct {
	rule    string
	message string
}

// tlsRules are the rules of the check, with the best grade that a host can have
// that breaks them.
//
// Critical is a host that clients refuse, or whose certificate proves nothing. High
// is one that will soon be refused, or whose traffic can be read. Medium is what
// browsers and PCI DSS gave up years ago, or a certificate with less than a month.
var tlsRules = map[string]struct{ severity, cwe, grade, title string }{
	"certificate-expired":     {"critical", "CWE-298", "F", "The certificate has expired"},
	"certificate-not-yet":     {"critical", "CWE-298", "F", "The certificate is not valid yet"},
	"certificate-wrong-name":  {"critical", "CWE-297", "F", "The certificate is for another name"},
	"certificate-self-signed": {"high", "CWE-295", "F", "The certificate is signed by itself"},
	"certificate-untrusted":   {"high", "CWE-295", "F", "The certificate has no trusted root"},
	"certificate-ends-7-days": {"high", "CWE-298", "A", "The certificate expires within 7 days"},
	"certificate-ends-30":     {"medium", "CWE-298", "A+", "The certificate expires within 30 days"},
	"key-short":               {"high", "CWE-326", "F", "The key of the certificate is too short"},
	"signature-weak":          {"high", "CWE-327", "F", "The certificate is signed with a broken hash"},
	"cipher-broken":           {"high", "CWE-327", "C", "A broken cipher is offered"},
	"cipher-no-secrecy":       {"low", "CWE-326", "B", "A cipher without forward secrecy is offered"},
	"protocol-old":            {"medium", "CWE-326", "B", "TLS 1.0 or 1.1 is offered"},
	"protocol-old-only":       {"high", "CWE-326", "C", "TLS 1.2 is not offered"},
}

// Grade is the grade of a host that breaks the rules: the worst of what each of
// them allows, from A+ to F.
//
//	F   clients refuse the certificate (expired, another name, no trusted root,
//	    signed by itself), its RSA key is shorter than 2048 bits or its ECDSA key
//	    shorter than 256, or it is signed with MD5 or SHA-1
//	C   RC4 or 3DES is offered, or neither TLS 1.2 nor 1.3
//	B   TLS 1.0 or 1.1 is offered, or a cipher without forward secrecy
//	A   none of these; or the certificate expires within 7 days
//	A+  as A, and Strict-Transport-Security of half a year or more
//
// The order is that of SSL Labs' rating guide, with fewer steps:
// https://github.com/ssllabs/research/wiki/SSL-Server-Rating-Guide. An F of ours is an
// F or a T of theirs.
func Grade(rules []string, hsts bool) string {
	worst := "A+"
	if !hsts {
		worst = "A"
	}
	order := []string{"A+", "A", "B", "C", "F"}
	for _, r := range rules {
		if g := tlsRules[r].grade; slices.Index(order, g) > slices.Index(order, worst) {
			worst = g
		}
	}
	return worst
}

func (o *observed) ruleIDs(faults []fault) []string {
	ids := make([]string, len(faults))
	for i, f := range faults {
		ids[i] = f.rule
	}
	return ids
}

// faults says what is wrong at a time.
func (o *observed) faults(now time.Time) []fault {
	all := slices.Concat(o.validity(now), o.identity(now), o.strength(), o.protocol())
	return all
}

// validity judges when each certificate of the chain ends: one below the root ends
// all of it.
func (o *observed) validity(now time.Time) []fault {
	first := o.chain[0]
	for _, c := range o.chain[1:] {
		if c.NotAfter.Before(first.NotAfter) {
			first = c
		}
	}
	which := ""
	if first != o.chain[0] {
		which = fmt.Sprintf(" (of %q in the chain)", first.Subject.CommonName)
	}
	date, left := first.NotAfter.UTC().Format(time.RFC3339), first.NotAfter.Sub(now)
	const day = 24 * time.Hour
	switch {
	case left < 0:
		return []fault{{"certificate-expired", fmt.Sprintf("The certificate%s expired on %s, %d days ago.", which, date, int(-left/day))}}
	case o.chain[0].NotBefore.After(now):
		return []fault{{"certificate-not-yet", fmt.Sprintf("The certificate is valid from %s.", o.chain[0].NotBefore.UTC().Format(time.RFC3339))}}
	case left < 7*day:
		return []fault{{"certificate-ends-7-days", fmt.Sprintf("The certificate%s expires on %s, in %d days.", which, date, int(left/day))}}
	case left < 30*day:
		return []fault{{"certificate-ends-30", fmt.Sprintf("The certificate%s expires on %s, in %d days.", which, date, int(left/day))}}
	}
	return nil
}

// identity judges whose certificate it is and who says so. Dates are judged apart,
// so the chain is looked at while its own certificate was valid.
func (o *observed) identity(now time.Time) []fault {
	var faults []fault
	leaf := o.chain[0]
	if err := leaf.VerifyHostname(o.host.name); err != nil {
		faults = append(faults, fault{"certificate-wrong-name", fmt.Sprintf("The certificate is for %s and not for %s.", names(leaf), o.host.name)})
	}
	between := x509.NewCertPool()
	for _, c := range o.chain[1:] {
		between.AddCert(c)
	}
	at := now
	if leaf.NotAfter.Before(at) {
		at = leaf.NotAfter.Add(-time.Second)
	}
	if leaf.NotBefore.After(at) {
		at = leaf.NotBefore
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: o.roots, Intermediates: between, CurrentTime: at})
	var unknown x509.UnknownAuthorityError
	switch {
	case err == nil:
	case leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) == nil && leaf.Issuer.String() == leaf.Subject.String():
		faults = append(faults, fault{"certificate-self-signed", "The certificate is signed by its own key: nobody else says whose it is."})
	case errors.As(err, &unknown):
		faults = append(faults, fault{"certificate-untrusted", fmt.Sprintf("No trusted root signed the certificate: its issuer is %q, with %d certificates sent. A missing one between is a common reason.", leaf.Issuer.CommonName, len(o.chain))})
	default:
		faults = append(faults, fault{"certificate-untrusted", "The chain of the certificate is not valid: " + err.Error() + "."})
	}
	return faults
}

// names are the names in a certificate, at most three.
func names(c *x509.Certificate) string {
	all := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	switch {
	case len(all) == 0:
		return "no name"
	case len(all) > 3:
		return fmt.Sprintf("%s and %d more", strings.Join(all[:3], ", "), len(all)-3)
	}
	return strings.Join(all, ", ")
}

// strength judges keys and signatures of all certificates that were sent. The
// signature of a root proves nothing, and is not looked at.
func (o *observed) strength() []fault {
	var faults []fault
	for _, c := range o.chain {
		switch key := c.PublicKey.(type) {
		case *rsa.PublicKey:
			if n := key.N.BitLen(); n < 2048 {
				faults = append(faults, fault{"key-short", fmt.Sprintf("The RSA key of %q has %d bits: 2048 are the least.", c.Subject.CommonName, n)})
			}
		case *ecdsa.PublicKey:
			if n := key.Curve.Params().BitSize; n < 256 {
				faults = append(faults, fault{"key-short", fmt.Sprintf("The ECDSA key of %q has %d bits: 256 are the least.", c.Subject.CommonName, n)})
			}
		}
		if weakSignature(c.SignatureAlgorithm) && c.Issuer.String() != c.Subject.String() {
			faults = append(faults, fault{"signature-weak", fmt.Sprintf("The certificate of %q is signed with %s.", c.Subject.CommonName, c.SignatureAlgorithm)})
		}
	}
	return faults
}

func weakSignature(a x509.SignatureAlgorithm) bool {
	return slices.Contains([]x509.SignatureAlgorithm{x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1}, a)
}

// protocol judges versions and ciphers.
func (o *observed) protocol() []fault {
	var faults []fault
	if newest := o.offered[len(o.offered)-1]; newest < tls.VersionTLS12 {
		faults = append(faults, fault{"protocol-old-only", "The newest version that is offered is " + tls.VersionName(newest) + "."})
	} else if oldest := o.offered[0]; oldest < tls.VersionTLS12 {
		faults = append(faults, fault{"protocol-old", tls.VersionName(oldest) + " is offered: RFC 8996 says that it must not be."})
	}
	if len(o.weak) > 0 {
		faults = append(faults, fault{"cipher-broken", "These ciphers are offered: " + suiteNames(o.weak) + "."})
	}
	if len(o.noSecret) > 0 {
		faults = append(faults, fault{"cipher-no-secrecy", "These ciphers are offered: " + suiteNames(o.noSecret) + "."})
	}
	return faults
}

func suiteNames(ids []uint16) string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = tls.CipherSuiteName(id)
	}
	return strings.Join(all, ", ")
}

// sighting is a fault for the report. The text of the fault has dates, so it is no
// part of what the finding is known by: Context is the rule's alone.
func (f fault) sighting(h host) finding.Sighting {
	r := tlsRules[f.rule]
	return finding.Sighting{
		Tool: "tls", Rule: f.rule, Class: finding.ClassNetwork, Title: r.title, Message: f.message, CWE: []string{r.cwe},
		Help: "https://github.com/ssllabs/research/wiki/SSL-and-TLS-Deployment-Best-Practices", Rating: finding.Rating{Word: r.severity},
		Location: finding.Location{Host: h.address()},
	}
}
