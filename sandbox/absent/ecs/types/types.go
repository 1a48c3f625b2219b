// Package types has the parts of ECS answers that Traefik reads.
package types

type (
	DesiredStatus     string
	HealthStatus      string
	NetworkMode       string
	TransportProtocol string
)

const (
	DesiredStatusRunning  DesiredStatus     = "RUNNING"
	HealthStatusHealthy   HealthStatus      = "HEALTHY"
	HealthStatusUnhealthy HealthStatus      = "UNHEALTHY"
	NetworkModeAwsvpc     NetworkMode       = "awsvpc"
	TransportProtocolTcp  TransportProtocol = "tcp"
	TransportProtocolUdp  TransportProtocol = "udp"
)

type Task struct {
	TaskArn, ContainerInstanceArn, TaskDefinitionArn, LastStatus, Group *string

	HealthStatus HealthStatus
	Containers   []Container
	Attachments  []Attachment
}

type Attachment struct{}

type Container struct {
	Name              *string
	NetworkInterfaces []NetworkInterface
	NetworkBindings   []NetworkBinding
}

type NetworkInterface struct{ PrivateIpv4Address, Ipv6Address *string }

type NetworkBinding struct {
	HostPort, ContainerPort *int32
	Protocol                TransportProtocol
}

type PortMapping struct {
	HostPort, ContainerPort *int32
	Protocol                TransportProtocol
}

type ContainerDefinition struct {
	Name         *string
	PortMappings []PortMapping
	DockerLabels map[string]string
}

type TaskDefinition struct {
	ContainerDefinitions []ContainerDefinition
	NetworkMode          NetworkMode
}

type ContainerInstance struct{ Ec2InstanceId, ContainerInstanceArn *string }
