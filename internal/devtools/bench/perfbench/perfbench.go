// Package perfbench holds the performance gate beside what others use for the same: it
// gives both the same measurements and prints where they agree, and why they differ
// where they do not.
package perfbench
