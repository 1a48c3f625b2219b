// Package aws is what is asked of, and later done in, an AWS account. Each service has
// a file of its own. Beside it only a metric source imports the AWS SDK, with an
// account that was connected here.
//
// Who is calling follows the SDK's own rules, in their order: environment,
// shared files, web identity (GitHub's OIDC), the machine's role. No error and no
// value of this package holds a credential.
//
// Requests that AWS throttles or fails to answer are repeated by the SDK, three
// times in all with growing waits. What still fails is an error here: a source
// that could not read says so and never reports a zero.
package aws

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// ErrNoRegion says that neither the options nor the environment name a region.
var ErrNoRegion = errors.New("no AWS region is configured: set AWS_REGION")

// A ConnectOptions says which account to use.
type ConnectOptions struct {
	Region  string // empty means $AWS_REGION's default places
	Profile string // of the shared files; empty means $AWS_PROFILE or the default one
	// Endpoint replaces the URL of every service, for test servers.
	Endpoint string
	// Clock is what waits go by; the zero value is the system's.
	Clock Clock

	credentials aws.CredentialsProvider // for tests; nil means the SDK's rules
}

// An Account is an AWS account in one region.
type Account struct {
	config aws.Config
	clock  Clock
}

// Connect reads the configuration. It asks AWS for nothing: a credential that
// is wrong shows at the first use.
func Connect(ctx context.Context, o ConnectOptions) (*Account, error) {
	var options []func(*config.LoadOptions) error
	if o.Region != "" {
		options = append(options, config.WithRegion(o.Region))
	}
	if o.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(o.Profile))
	}
	if o.credentials != nil {
		options = append(options, config.WithCredentialsProvider(o.credentials))
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

// Region is where the account's services are asked.
func (a *Account) Region() string { return a.config.Region }

// Config is the account for a service's own client.
func (a *Account) Config() aws.Config { return a.config }
