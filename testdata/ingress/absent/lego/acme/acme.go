// Package acme has the shapes of ACME accounts.
package acme

// Account is a registered account.
type Account struct {
	Status string `json:"status,omitempty"`
}

// ExtendedAccount is an account with its address.
type ExtendedAccount struct {
	Account
	Location string `json:"-"`
}
