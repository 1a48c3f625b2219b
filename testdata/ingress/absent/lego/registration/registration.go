// Package registration has the shapes of ACME accounts.
package registration

// Resource is a registered account.
type Resource struct {
	Body any    `json:"body,omitempty"`
	URI  string `json:"uri,omitempty"`
}

// RegisterOptions qualifies a registration.
type RegisterOptions struct {
	TermsOfServiceAgreed bool
}

// RegisterEABOptions qualifies a registration with an external account.
type RegisterEABOptions struct {
	TermsOfServiceAgreed bool
	Kid                  string
	HmacEncoded          string
}
