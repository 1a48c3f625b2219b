// Package ecs has the client of Amazon ECS as Traefik calls it. Every call answers that it is absent.
package ecs

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

var errAbsent = errors.New("this build has no AWS client")

type Options struct{}

type Client struct{}

func NewFromConfig(aws.Config, ...func(*Options)) *Client { return &Client{} }

type (
	ListClustersInput  struct{}
	ListClustersOutput struct{ ClusterArns []string }

	ListTasksInput struct {
		Cluster       *string
		DesiredStatus types.DesiredStatus
	}
	ListTasksOutput struct{ TaskArns []string }

	DescribeTasksInput struct {
		Tasks   []string
		Cluster *string
	}
	DescribeTasksOutput struct{ Tasks []types.Task }

	DescribeContainerInstancesInput struct {
		ContainerInstances []string
		Cluster            *string
	}
	DescribeContainerInstancesOutput struct{ ContainerInstances []types.ContainerInstance }

	DescribeTaskDefinitionInput  struct{ TaskDefinition *string }
	DescribeTaskDefinitionOutput struct{ TaskDefinition *types.TaskDefinition }
)

func (*Client) DescribeTasks(context.Context, *DescribeTasksInput, ...func(*Options)) (*DescribeTasksOutput, error) {
	return nil, errAbsent
}

func (*Client) DescribeContainerInstances(context.Context, *DescribeContainerInstancesInput, ...func(*Options)) (*DescribeContainerInstancesOutput, error) {
	return nil, errAbsent
}

func (*Client) DescribeTaskDefinition(context.Context, *DescribeTaskDefinitionInput, ...func(*Options)) (*DescribeTaskDefinitionOutput, error) {
	return nil, errAbsent
}

type ListClustersPaginator struct{}

func NewListClustersPaginator(*Client, *ListClustersInput) *ListClustersPaginator {
	return &ListClustersPaginator{}
}

func (*ListClustersPaginator) HasMorePages() bool { return true }

func (*ListClustersPaginator) NextPage(context.Context, ...func(*Options)) (*ListClustersOutput, error) {
	return nil, errAbsent
}

type ListTasksPaginator struct{}

func NewListTasksPaginator(*Client, *ListTasksInput) *ListTasksPaginator {
	return &ListTasksPaginator{}
}

func (*ListTasksPaginator) HasMorePages() bool { return true }

func (*ListTasksPaginator) NextPage(context.Context, ...func(*Options)) (*ListTasksOutput, error) {
	return nil, errAbsent
}
