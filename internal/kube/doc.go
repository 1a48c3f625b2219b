// Package kube connects to a cluster and provides what every part of a rollout
// needs there: retries, a watch, the lease that admits one run, the record's
// ConfigMap, permissions, Jobs.
//
// Its subpackage discover finds the objects of a rollout and the reasons
// against one; replicas, services and routes change Deployments, Services and
// routes; workload drives them through a rollout. Only these four, detached and
// kube write to the cluster.
//
// Every write is level-based: read, compute the desired state, write the
// difference guarded by the resource version, read again on a conflict. Any
// other process can therefore repeat a write.
package kube
