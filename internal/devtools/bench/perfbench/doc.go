// Package perfbench holds the performance gate's decisions against those of the tools
// that decide the same, on the same runs.
package perfbench
