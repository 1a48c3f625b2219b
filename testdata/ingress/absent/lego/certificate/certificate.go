// Package certificate has the shapes of certificate requests and their results.
package certificate

import (
	"crypto"
	"time"

	"github.com/go-acme/lego/v5/certcrypto"
)

// Resource is an obtained certificate.
type Resource struct {
	ID                string   `json:"id"`
	Domains           []string `json:"domains"`
	CertURL           string   `json:"certUrl"`
	CertStableURL     string   `json:"certStableUrl"`
	PrivateKey        []byte   `json:"-"`
	Certificate       []byte   `json:"-"`
	IssuerCertificate []byte   `json:"-"`
	CSR               []byte   `json:"-"`
}

// ObtainRequest asks for a certificate.
type ObtainRequest struct {
	EnableCommonName               bool
	KeyType                        certcrypto.KeyType
	Domains                        []string
	PrivateKey                     crypto.PrivateKey
	MustStaple                     bool
	EmailAddresses                 []string
	NotBefore                      time.Time
	NotAfter                       time.Time
	Bundle                         bool
	PreferredChain                 string
	Profile                        string
	AlwaysDeactivateAuthorizations bool
	ReplacesCertID                 string
}

// RenewOptions qualifies a renewal.
type RenewOptions struct {
	EnableCommonName               bool
	NotBefore                      time.Time
	NotAfter                       time.Time
	Bundle                         bool
	PreferredChain                 string
	Profile                        string
	AlwaysDeactivateAuthorizations bool
	MustStaple                     bool
	EmailAddresses                 []string
}
