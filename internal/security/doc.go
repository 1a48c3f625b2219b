// Package security is the use case of the security gate: the action security-gate
// and the mage targets security:*. It reads the inputs and the event, has scanners
// run, and makes one verdict of what they saw.
//
// The scanners and what they need are in the family internal/scanner, the verdict
// in internal/finding/verdict. Everything that people see is made from its Result.
package security
