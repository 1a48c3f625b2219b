// Package code has the scanners of source code: ESLint's security rules, Semgrep,
// CodeQL.
//
// Each reads its own tool's report and nothing else. What a tool could not parse
// is a doubt: a file that was not read is not a clean file.
package code
