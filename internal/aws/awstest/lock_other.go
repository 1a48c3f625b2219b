//go:build !unix

package awstest

// lock does nothing where files cannot be locked this way.
func lock(string) (unlock func(), err error) { return func() {}, nil }
