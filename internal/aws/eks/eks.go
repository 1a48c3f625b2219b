// Package eks connects to Kubernetes clusters on EKS without the aws program: it
// finds a cluster's endpoint and makes the tokens that its API server accepts.
//
// A token is a presigned request to STS, "who am I", which the API server sends
// in the caller's name. Making one needs credentials and no request.
package eks

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// A Cluster is how to reach an EKS cluster.
type Cluster struct {
	Endpoint string // URL of the API server
	CAData   []byte // certificates in PEM that its own is checked with
}

// Describe reads the endpoint of a cluster in the configuration's region.
func Describe(ctx context.Context, config aws.Config, name string) (Cluster, error) {
	var c Cluster
	out, err := eks.NewFromConfig(config).DescribeCluster(ctx, &eks.DescribeClusterInput{Name: &name})
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
		return c, fmt.Errorf("EKS has no cluster %q in region %s", name, config.Region)
	}
	if err != nil {
		return c, fmt.Errorf("read EKS cluster %q in region %s (eks:DescribeCluster): %w", name, config.Region, err)
	}
	if out.Cluster == nil || aws.ToString(out.Cluster.Endpoint) == "" || out.Cluster.CertificateAuthority == nil {
		return c, fmt.Errorf("EKS cluster %q in region %s has no endpoint yet", name, config.Region)
	}
	c.Endpoint = *out.Cluster.Endpoint
	if c.CAData, err = base64.StdEncoding.DecodeString(aws.ToString(out.Cluster.CertificateAuthority.Data)); err != nil {
		return c, fmt.Errorf("read the certificate of EKS cluster %q: %w", name, err)
	}
	return c, nil
}

const (
	// lifetime is how long the API server accepts a token.
	lifetime = 15 * time.Minute
	// renewAfter leaves five minutes to requests with the old token and to
	// credentials that cannot be read for a moment.
	renewAfter = 10 * time.Minute
	// renewAgain is the pause after a renewal that failed.
	renewAgain = 10 * time.Second
)

// clusterHeader binds a token to one cluster.
const clusterHeader = "x-k8s-aws-id"

// Token returns a token for a cluster and when it ends. It sends no request,
// except for what the credentials need.
func Token(ctx context.Context, config aws.Config, cluster, region string, now func() time.Time) (token string, expires time.Time, err error) {
	if config.Credentials == nil {
		return "", time.Time{}, errors.New("no AWS credentials are configured")
	}
	credentials, err := config.Credentials.Retrieve(ctx)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("read the AWS credentials: %w", err)
	}
	request, err := callerIdentity(ctx, cluster, region)
	if err != nil {
		return "", time.Time{}, err
	}
	at, nothing := now(), sha256.Sum256(nil)
	signed, _, err := v4.NewSigner().PresignHTTP(ctx, credentials, request, hex.EncodeToString(nothing[:]), "sts", region, at)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign the token: %w", err)
	}
	expires = at.Add(lifetime)
	if credentials.CanExpire && credentials.Expires.Before(expires) {
		expires = credentials.Expires
	}
	return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(signed)), expires, nil
}

// callerIdentity is the request that a token contains, without its signature.
func callerIdentity(ctx context.Context, cluster, region string) (*http.Request, error) {
	endpoint, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, sts.EndpointParameters{Region: &region})
	if err != nil {
		return nil, fmt.Errorf("find the address of STS in region %q: %w", region, err)
	}
	u := endpoint.URI
	u.Path = "/"
	// The signature is for the next minute; the API server accepts it for longer.
	u.RawQuery = url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}, "X-Amz-Expires": {"60"}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set(clusterHeader, cluster)
	return request, nil
}

// Tokens makes the tokens for one cluster. It may be used by several
// goroutines.
type Tokens struct {
	config          aws.Config
	cluster, region string
	now             func() time.Time

	mu      sync.Mutex
	token   string
	renew   time.Time // when the next one is made
	expires time.Time
}

// NewTokens returns a source of tokens for a cluster.
func NewTokens(config aws.Config, cluster, region string, now func() time.Time) *Tokens {
	return &Tokens{config: config, cluster: cluster, region: region, now: now}
}

// Token returns a token that is valid for the next request. If a new one cannot
// be made, it returns the last one as long as that is valid.
func (t *Tokens) Token(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if t.token != "" && now.Before(t.renew) {
		return t.token, nil
	}
	token, expires, err := Token(ctx, t.config, t.cluster, t.region, t.now)
	switch {
	case err == nil:
		t.token, t.expires, t.renew = token, expires, now.Add(renewAfter)
		if early := expires.Add(-time.Minute); early.Before(t.renew) {
			t.renew = early // the credentials end before the token would
		}
	case t.token == "" || !now.Before(t.expires):
		return "", err
	default:
		t.renew = now.Add(renewAgain)
	}
	return t.token, nil
}
