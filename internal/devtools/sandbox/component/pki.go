package component

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"time"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/control"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/network"
)

// authority signs the certificates of one sandbox. It lives as long as the sandbox.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte
}

// keyPair is a certificate and its key, both PEM.
type keyPair struct{ cert, key []byte }

// identity is whom a certificate is for: the user and groups that Kubernetes reads from it, and the names a server answers to.
type identity struct {
	user   string
	groups []string
	names  []string
	ips    []string
}

// frontProxy is the API server's name towards the servers that it passes requests on to.
const frontProxy = "front-proxy"

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := certificate(identity{user: "candlefish-sandbox"})
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = nil
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{cert, key, encode("CERTIFICATE", der)}, err
}

// issue makes a key and a certificate that serves both ends of a connection.
func (a *authority) issue(id identity) (keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, certificate(id), a.cert, key.Public(), a.key)
	if err != nil {
		return keyPair{}, err
	}
	keyPEM, err := encodeKey(key)
	return keyPair{encode("CERTIFICATE", der), keyPEM}, err
}

func certificate(id identity) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // crypto/rand never fails
	t := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: id.user, Organization: id.groups},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(0, 1, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		DNSNames:     id.names,
	}
	for _, ip := range id.ips {
		t.IPAddresses = append(t.IPAddresses, net.ParseIP(ip))
	}
	return t
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	return encode("EC PRIVATE KEY", der), err
}

// WritePKI makes the sandbox's authority, the certificates that components read from files, the key that signs service account
// tokens, and a kubeconfig for each user.
func WritePKI(l control.Dir, n network.Network) error {
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	sa, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	saKey, err := encodeKey(sa)
	if err != nil {
		return err
	}
	saDER, err := x509.MarshalPKIXPublicKey(sa.Public())
	if err != nil {
		return err
	}
	// An authority of its own: whoever holds a certificate of it may speak for anybody.
	frontCA, err := newAuthority()
	if err != nil {
		return err
	}
	front, err := frontCA.issue(identity{user: frontProxy})
	if err != nil {
		return err
	}
	errs := []error{
		os.WriteFile(l.PKI("front-proxy-ca.crt"), frontCA.pem, 0o644),
		os.WriteFile(l.PKI("front-proxy.crt"), front.cert, 0o644),
		os.WriteFile(l.PKI("front-proxy.key"), front.key, 0o600),
		os.WriteFile(l.PKI("ca.crt"), ca.pem, 0o644),
		os.WriteFile(l.PKI("sa.key"), saKey, 0o600),
		os.WriteFile(l.PKI("sa.pub"), encode("PUBLIC KEY", saDER), 0o644),
	}
	for file, id := range map[string]identity{
		"apiserver": {user: "kube-apiserver", names: []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc"},
			ips: []string{n.NodeIP(), n.ServiceIP(), "127.0.0.1"}},
		// the API server's own name towards the kubelet: logs, exec, port-forward
		"apiserver-kubelet": {user: "kube-apiserver-kubelet-client", groups: []string{"system:masters"}},
		"kubelet-server":    {user: "kubelet", names: []string{NodeName}, ips: []string{n.NodeIP()}},
		MetricsService:      {user: MetricsService, names: []string{MetricsService + "." + MetricsNamespace + ".svc"}, ips: []string{n.NodeIP()}},
	} {
		pair, err := ca.issue(id)
		errs = append(errs, err,
			os.WriteFile(l.PKI(file+".crt"), pair.cert, 0o644), os.WriteFile(l.PKI(file+".key"), pair.key, 0o600))
	}
	for who, id := range map[string]identity{
		"admin":                   {user: "admin", groups: []string{"system:masters"}},
		"kube-controller-manager": {user: "system:kube-controller-manager"},
		"kube-scheduler":          {user: "system:kube-scheduler"},
		"kubelet":                 {user: "system:node:" + NodeName, groups: []string{"system:nodes"}},
		"kube-proxy":              {user: "system:kube-proxy"},
		"gateway":                 {user: "gateway", groups: []string{"system:masters"}},
		MetricsService:            {user: MetricsService, groups: []string{"system:masters"}},
	} {
		pair, err := ca.issue(id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, os.WriteFile(l.Kubeconfig(who), renderKubeconfig(n.APIServer(), ca.pem, pair), 0o600))
	}
	return errors.Join(errs...)
}
