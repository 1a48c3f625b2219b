// Package types has the parts of SSM answers that Traefik reads.
package types

type InstanceInformation struct{ InstanceId, IPAddress *string }

type InstanceInformationStringFilter struct {
	Key    *string
	Values []string
}
