// Package kube connects to a cluster and provides what every part of a rollout
// needs there: retries, a watch, the lease that admits one run, the record's
// ConfigMap, permissions, Jobs.
//
// Its subpackage discover finds the objects of a rollout and the reasons
// against one; replicas changes Deployments and ReplicaSets; workload drives
// the Deployment, its Services and routes through a rollout. Only kube,
// replicas and workload write to the cluster.
//
// Every write is level-based: read, compute the desired state, write the
// difference guarded by the resource version, read again on a conflict. Any
// other process can therefore repeat a write.
package kube
