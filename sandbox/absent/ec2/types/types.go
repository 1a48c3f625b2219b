// Package types has the parts of EC2 answers that Traefik reads.
package types

type InstanceStateName string

const (
	InstanceStateNamePending InstanceStateName = "pending"
	InstanceStateNameRunning InstanceStateName = "running"
)

type InstanceState struct{ Name InstanceStateName }

type Instance struct {
	InstanceId, PrivateIpAddress *string
	State                        *InstanceState
}

type Reservation struct{ Instances []Instance }
