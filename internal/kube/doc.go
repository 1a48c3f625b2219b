// Package kube is the workload and its route on Kubernetes: the one package
// that writes to the cluster.
//
// A release lives in two plain Deployments. The user's keeps its name,
// selector and history; the trial runs in "<name>-canary" beside it, from a
// copy of the same pod template. Both Deployments select the same labels and
// are told apart by owner references, which is what makes it possible to hand
// a ReplicaSet with its running pods from one to the other (handover.go).
//
// Services are narrowed by a role label while two versions have pods, so that
// each selects exactly one of them; the label is on the pods before a selector
// asks for it. Labels change without a roll (relabel.go).
//
// Every write is level-based: read, compute what is wanted, write the
// difference guarded by the resource version, read again on conflict. A write
// may therefore be repeated by a process that knows nothing of the first.
// Routes are patched where our weights are and nowhere else: the rules of an
// HTTPRoute are an atomic list to server-side apply, so that applying a weight
// would take over the whole list; a JSON patch of one backendRefs leaves the
// rest byte for byte as it is.
package kube
