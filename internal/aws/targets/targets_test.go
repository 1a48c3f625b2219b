package targets

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/candlefish/deploy-action/internal/aws/awstest"
)

func config(endpoint string) sdk.Config {
	keys := sdk.CredentialsProviderFunc(func(context.Context) (sdk.Credentials, error) {
		return sdk.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"}, nil
	})
	return sdk.Config{Region: "eu-central-1", BaseEndpoint: &endpoint, Credentials: keys, RetryMaxAttempts: 1}
}

// vpc returns the network that moto_server has from the start. One request is not
// worth the SDK of EC2, which is the largest of all.
func vpc(t *testing.T, endpoint string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, strings.NewReader("Action=DescribeVpcs&Version=2016-11-15"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-central-1/ec2/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("<vpcId>(vpc-[0-9a-f]+)</vpcId>").FindSubmatch(body)
	if found == nil {
		t.Fatalf("moto_server has no network: %s", body)
	}
	return string(found[1])
}

// The wire of a target group from its creation on, as moto_server speaks it.
func TestATargetGroup(t *testing.T) {
	t.Parallel()
	endpoint := awstest.Start(t)
	c := config(endpoint)
	client, groups := elb.NewFromConfig(c), New(c)
	made, err := client.CreateTargetGroup(t.Context(), &elb.CreateTargetGroupInput{
		Name: sdk.String("k8s-shop-web"), Protocol: types.ProtocolEnumHttp, Port: sdk.Int32(80), VpcId: sdk.String(vpc(t, endpoint)), TargetType: types.TargetTypeEnumIp,
	})
	if err != nil {
		t.Fatal(err)
	}
	arn := *made.TargetGroups[0].TargetGroupArn
	register := func(address string) {
		_, err := client.RegisterTargets(t.Context(), &elb.RegisterTargetsInput{TargetGroupArn: &arn, Targets: []types.TargetDescription{{Id: &address, Port: sdk.Int32(8080)}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	missing := func(addresses ...string) string {
		why, err := groups.Missing(t.Context(), arn, addresses)
		if err != nil {
			t.Fatal(err)
		}
		return why
	}
	if why := missing("10.0.0.1"); why != "target group k8s-shop-web has 0 of 1 pods healthy: 10.0.0.1 is not registered" {
		t.Errorf("before the registration: %q", why)
	}
	register("10.0.0.1")
	if why := missing("10.0.0.1"); why != "" {
		t.Errorf("a registered pod: %q", why)
	}
	if why := missing("10.0.0.2", "10.0.0.1"); why != "target group k8s-shop-web has 1 of 2 pods healthy: 10.0.0.2 is not registered" {
		t.Errorf("one of two: %q", why)
	}
	if why := missing(); !strings.Contains(why, "no ready pods") {
		t.Errorf("no pods: %q", why)
	}
	_, err = client.ModifyTargetGroupAttributes(t.Context(), &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: &arn, Attributes: []types.TargetGroupAttribute{{Key: sdk.String(delayKey), Value: sdk.String("45")}}})
	if err != nil {
		t.Fatal(err)
	}
	if delay, err := groups.Delay(t.Context(), arn); err != nil || delay != 45*time.Second {
		t.Errorf("Delay = %s, %v", delay, err)
	}
	if _, err := groups.Missing(t.Context(), strings.Replace(arn, "k8s-shop-web", "gone", 1), []string{"10.0.0.1"}); err == nil || !strings.Contains(err.Error(), "read the targets of gone (elasticloadbalancing:DescribeTargetHealth)") {
		t.Errorf("no such target group: %v", err)
	}
}

// moto registers at once; AWS says why a target gets no requests yet, or no more.
func TestStatesOfTargets(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/k8s-shop-web/0123456789abcdef"
	for name, test := range map[string]struct{ entries, want string }{
		"starting":  {entry("initial", "Elb.RegistrationInProgress", 8080), "10.0.0.1 is initial (Elb.RegistrationInProgress)"},
		"unhealthy": {entry("unhealthy", "Target.FailedHealthChecks", 8080), "10.0.0.1 is unhealthy (Target.FailedHealthChecks)"},
		"draining":  {entry("draining", "Target.DeregistrationInProgress", 8080), "10.0.0.1 is draining (Target.DeregistrationInProgress)"},
		"unused":    {entry("unused", "Target.NotInUse", 8080), "10.0.0.1 is unused (Target.NotInUse)"},
		"healthy":   {entry("healthy", "", 8080), ""},
		// An old port of the pod drains while the new one serves.
		"two ports": {entry("draining", "Target.DeregistrationInProgress", 3000) + entry("healthy", "", 8080), ""},
		"reversed":  {entry("healthy", "", 8080) + entry("draining", "Target.DeregistrationInProgress", 3000), ""},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			form, _ := url.ParseQuery(string(body))
			if form.Get("Action") != "DescribeTargetHealth" || form.Get("Version") != "2015-12-01" || form.Get("TargetGroupArn") != arn || !strings.Contains(r.Header.Get("Authorization"), "/eu-central-1/elasticloadbalancing/aws4_request") {
				t.Errorf("%s: unexpected request %s", name, body)
			}
			fmt.Fprintf(w, `<DescribeTargetHealthResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><DescribeTargetHealthResult><TargetHealthDescriptions>%s</TargetHealthDescriptions></DescribeTargetHealthResult></DescribeTargetHealthResponse>`, test.entries)
		}))
		why, err := New(config(s.URL)).Missing(t.Context(), arn, []string{"10.0.0.1"})
		s.Close()
		if err != nil || (why == "") != (test.want == "") || !strings.Contains(why, test.want) {
			t.Errorf("%s: %q, %v", name, why, err)
		}
	}
}

func entry(state, reason string, port int) string {
	return fmt.Sprintf(`<member><Target><Id>10.0.0.1</Id><Port>%d</Port></Target><TargetHealth><State>%s</State><Reason>%s</Reason></TargetHealth></member>`, port, state, reason)
}
