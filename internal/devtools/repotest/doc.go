// Package repotest holds no code, only tests of what no single package can see:
// who imports whom, that every package says what it is for, that generated files
// are fresh, and that what the documents show works.
package repotest
