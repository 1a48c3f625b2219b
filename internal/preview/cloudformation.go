package preview

import (
	"context"

	"github.com/candlefish/deploy-action/internal/aws"
	"github.com/candlefish/deploy-action/internal/preview/api"
	"github.com/candlefish/deploy-action/internal/preview/cloudformation"
)

// backend connects to the AWS account of the inputs.
func (s *session) backend(ctx context.Context) (*cloudformation.Backend, error) {
	o := aws.ConnectOptions{Region: s.v.String("aws-region")}
	c := &cloudformation.Backend{
		Bucket: s.v.String("artifacts-bucket"), Code: s.v.String("api-code"), Template: s.v.String("api-template"),
		Protect: s.v.Bool("protect"), RunID: s.runID, Settings: s.apiSettings(),
	}
	var err error
	if c.Parameters, err = cloudformation.ParametersOf(s.v.List("api-parameters")); err != nil {
		return nil, err
	}
	if err := c.MaskSecrets(s.a.Mask); err != nil {
		return nil, err
	}
	if u := s.v.URL("aws-endpoint-url"); u != nil {
		o.Endpoint, c.TestServer = u.String(), u.String()
	}
	c.Account, err = aws.Connect(ctx, o)
	return c, err
}

// apiSettings are the inputs of the API's template.
func (s *session) apiSettings() api.Settings {
	settings := api.Settings{Type: s.v.String("api-type"), Image: s.v.String("api-image"), Runtime: s.v.String("api-runtime"), Handler: s.v.String("api-handler"),
		AllowedOrigin: s.v.String("allowed-origin"), CertificateArn: s.v.String("certificate-arn"), HostedZoneID: s.v.String("hosted-zone-id"),
		OwnTemplate: s.v.String("api-template") != ""}
	if settings.Image != "" {
		settings.Runtime, settings.Handler = "", ""
	}
	if settings.CertificateArn != "" || settings.HostedZoneID != "" {
		settings.BaseDomain = s.v.String("base-domain")
	}
	if domain := s.v.String("site-domain"); settings.AllowedOrigin == "" && domain != "" {
		settings.AllowedOrigin = "https://" + s.key.Alias() + "." + domain
	}
	return settings
}
