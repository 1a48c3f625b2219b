// Package lego has the ACME client's shape. Every call answers ErrAbsent.
package lego

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"net/http"
	"time"

	"github.com/go-acme/lego/v5/acme"
	"github.com/go-acme/lego/v5/certcrypto"
	"github.com/go-acme/lego/v5/certificate"
	"github.com/go-acme/lego/v5/challenge"
	"github.com/go-acme/lego/v5/challenge/dns01"
	"github.com/go-acme/lego/v5/challenge/http01"
	"github.com/go-acme/lego/v5/challenge/tlsalpn01"
	"github.com/go-acme/lego/v5/registration"
)

// ErrAbsent is what every call of this stand-in returns.
var ErrAbsent = errors.New("this build has no ACME client")

// DirectoryURLLetsEncrypt is the directory of Let's Encrypt.
const DirectoryURLLetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// User is an ACME account.
type User interface {
	GetEmail() string
	GetRegistration() *acme.ExtendedAccount
	GetPrivateKey() crypto.Signer
}

// CertificateConfig says how certificates are asked for.
type CertificateConfig struct {
	KeyType             certcrypto.KeyType
	Timeout             time.Duration
	OverallRequestLimit int
	DisableCommonName   bool
}

// Config is the configuration of a Client.
type Config struct {
	CADirURL    string
	User        User
	UserAgent   string
	HTTPClient  *http.Client
	Certificate CertificateConfig
}

// NewConfig returns a configuration for user.
func NewConfig(user User) *Config { return &Config{User: user, HTTPClient: &http.Client{}} }

// Client is an ACME client that can do nothing.
type Client struct {
	Certificate  Certifier
	Challenge    Solvers
	Registration Registrar
}

// NewClient always returns ErrAbsent.
func NewClient(*Config) (*Client, error) { return nil, ErrAbsent }

// CreateCertPool always returns ErrAbsent.
func CreateCertPool([]string, bool) (*x509.CertPool, error) { return nil, ErrAbsent }

// Certifier obtains and renews certificates.
type Certifier struct{}

// Obtain always returns ErrAbsent.
func (Certifier) Obtain(context.Context, certificate.ObtainRequest) (*certificate.Resource, error) {
	return nil, ErrAbsent
}

// Renew always returns ErrAbsent.
func (Certifier) Renew(context.Context, certificate.Resource, *certificate.RenewOptions) (*certificate.Resource, error) {
	return nil, ErrAbsent
}

// Solvers holds the ways to answer a challenge.
type Solvers struct{}

// SetDNS01Provider always returns ErrAbsent.
func (Solvers) SetDNS01Provider(challenge.Provider, ...dns01.ChallengeOption) error { return ErrAbsent }

// SetHTTP01Provider always returns ErrAbsent.
func (Solvers) SetHTTP01Provider(challenge.Provider, ...http01.ChallengeOption) error {
	return ErrAbsent
}

// SetTLSALPN01Provider always returns ErrAbsent.
func (Solvers) SetTLSALPN01Provider(challenge.Provider, ...tlsalpn01.ChallengeOption) error {
	return ErrAbsent
}

// Registrar registers accounts.
type Registrar struct{}

// Register always returns ErrAbsent.
func (Registrar) Register(context.Context, registration.RegisterOptions) (*acme.ExtendedAccount, error) {
	return nil, ErrAbsent
}

// RegisterWithExternalAccountBinding always returns ErrAbsent.
func (Registrar) RegisterWithExternalAccountBinding(context.Context, registration.RegisterEABOptions) (*acme.ExtendedAccount, error) {
	return nil, ErrAbsent
}
