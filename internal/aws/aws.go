// Package aws connects to an AWS account. Only it, the packages below it and the
// CloudWatch source import the AWS SDK: stack applies and deletes CloudFormation
// stacks, bucket keeps the bucket of artifacts, inventory lists what exists, eks
// reaches clusters on EKS.
//
// Credentials are resolved by the SDK's own rules, in their order: environment,
// shared files, web identity (GitHub's OIDC), the machine's role. No error and no
// value of these packages holds a credential.
//
// The SDK retries requests that AWS throttles or fails to answer, three times in
// all with growing pauses. What still fails is an error here: a source that could
// not be read never reports a zero.
package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

var (
	// ErrNoRegion says that neither the options nor the environment name a region.
	ErrNoRegion = errors.New("no AWS region is configured: set AWS_REGION")
	// ErrNotOurs is in the errors that refuse a stack or a bucket because of its tags.
	ErrNotOurs = errors.New("it is not ours")
)

// ConnectOptions say which account to use.
type ConnectOptions struct {
	Region  string // empty means $AWS_REGION's default places
	Profile string // of the shared files; empty means $AWS_PROFILE or the default one
	// Endpoint replaces the URL of every service, for test servers.
	Endpoint string
	// Credentials replace the SDK's rules, for tests; nil means these rules.
	Credentials aws.CredentialsProvider
	// Clock is the clock of all waits; the zero value is the system's.
	Clock Clock
}

// An Account is an AWS account in one region. It may be used by several goroutines.
type Account struct {
	config aws.Config
	clock  Clock
}

// Connect reads the configuration. It sends no request: wrong credentials show at
// the first use.
func Connect(ctx context.Context, o ConnectOptions) (*Account, error) {
	var options []func(*config.LoadOptions) error
	if o.Region != "" {
		options = append(options, config.WithRegion(o.Region))
	}
	if o.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(o.Profile))
	}
	if o.Credentials != nil {
		options = append(options, config.WithCredentialsProvider(o.Credentials))
	}
	if o.Endpoint != "" {
		options = append(options, config.WithBaseEndpoint(o.Endpoint))
	}
	c, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("read the AWS configuration: %w", err)
	}
	if c.Region == "" {
		return nil, ErrNoRegion
	}
	return &Account{config: c, clock: o.Clock.orSystem()}, nil
}

// Config is the account's configuration, for clients of its services.
func (a *Account) Config() aws.Config { return a.config }

// Clock is the account's clock, with no nil function.
func (a *Account) Clock() Clock { return a.clock }

// Region is the region of the account's services.
func (a *Account) Region() string { return a.config.Region }

// ID returns the number of the account that the credentials belong to.
func (a *Account) ID(ctx context.Context) (string, error) {
	out, err := sts.NewFromConfig(a.config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", fmt.Errorf("read the AWS caller identity: %w", err)
	}
	return aws.ToString(out.Account), nil
}

// HasCode reports whether AWS answered with one of these error codes.
func HasCode(err error, codes ...string) bool {
	e, ok := errors.AsType[smithy.APIError](err)
	return ok && slices.Contains(codes, e.ErrorCode())
}
