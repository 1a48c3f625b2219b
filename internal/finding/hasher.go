package finding

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// A Hasher tells whether two tools found the same credential. Its key is made
// anew for each run and never leaves the process, so a hash is worth nothing
// afterwards: low-entropy credentials could otherwise be guessed from it.
type Hasher struct{ key []byte }

// NewHasher returns a Hasher with a key of at least 32 random bytes.
func NewHasher(key []byte) *Hasher {
	if len(key) < sha256.Size {
		panic("finding: the key of a Hasher is too short")
	}
	return &Hasher{key: key}
}

// Hash returns the keyed hash of a credential, without white space and quotes at
// its ends, which tools cut differently.
func (h *Hasher) Hash(credential string) string {
	mac := hmac.New(sha256.New, h.key)
	mac.Write([]byte(strings.Trim(credential, " \t\r\n\"'`")))
	return hex.EncodeToString(mac.Sum(nil))
}
