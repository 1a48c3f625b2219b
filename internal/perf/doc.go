// Package perf is the use case of the performance gate: the action perf-gate and the
// mage targets perf:*. It reads the inputs and the event, has meters run, and makes one
// verdict of what they measured.
//
// The meters are in the family internal/meter, limits, comparison and verdict in
// internal/measure. Everything that people see is made from the verdict's Result.
package perf
