// Package certcrypto has the key types of ACME accounts, as names only.
package certcrypto

// KeyType is the kind of private key of an account or a certificate.
type KeyType string

// The key types that Traefik knows.
const (
	EC256   = KeyType("P256")
	EC384   = KeyType("P384")
	RSA2048 = KeyType("2048")
	RSA3072 = KeyType("3072")
	RSA4096 = KeyType("4096")
	RSA8192 = KeyType("8192")
)
