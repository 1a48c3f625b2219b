// Package kube is the connection to a cluster and what every part of a rollout
// needs of it: retries, a watch, the lease that admits one run, the record's
// ConfigMap, permissions, Jobs.
//
// Package discover, below it, finds the objects of a rollout and what speaks
// against one; package workload is the Deployment under a rollout. Only these
// packages write to the cluster.
//
// Every write is level-based: read, compute what is wanted, write the difference
// guarded by the resource version, read again on conflict. A write may therefore
// be repeated by a process that knows nothing of the first.
package kube
