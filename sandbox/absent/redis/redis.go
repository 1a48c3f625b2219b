// Package redis has the configuration of the Redis store as Traefik fills it in. The store is not registered, so it cannot be opened.
package redis

import "crypto/tls"

// StoreName is the name that the store would have.
const StoreName = "redis"

type Config struct {
	TLS      *tls.Config
	Username string
	Password string
	DB       int
	Sentinel *Sentinel
}

type Sentinel struct {
	MasterName, Username, Password string

	ClusterClient, RouteByLatency, RouteRandomly, ReplicaOnly, UseDisconnectedReplicas bool
}
