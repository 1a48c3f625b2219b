// Package api describes the API of a preview as a CloudFormation template: a function
// behind an HTTP or REST API, with a table, a bucket, a log group and a role of its own. It
// fills the template's parameters and packs the function's code, and sends no
// request: internal/aws/stack applies the template.
//
// Every name contains the number of the pull request, so that two previews share
// nothing. All resources are deleted with the stack.
package api

import (
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

//go:embed preview.yaml
var preview []byte

// Capability is the one that creating the stack needs: its role has a name.
const Capability = "CAPABILITY_NAMED_IAM"

// CapabilityMacros is needed beside it by a template of the user's own with macros in
// nested stacks.
const CapabilityMacros = "CAPABILITY_AUTO_EXPAND"

// Outputs are the names of the template's outputs: names and a URL, no secret.
var Outputs = []string{"ApiUrl", "ApiId", "LambdaFunctionArn", "DynamoDBTableName", "S3BucketName"}

// Template returns the template, as YAML.
func Template() []byte { return slices.Clone(preview) }

// Settings configure the stack of one preview.
type Settings struct {
	Number      int    // of the pull request
	Commit      string // 40 hexadecimal digits
	Environment string // empty means preview
	Type        string // of the API: http or rest; empty means http
	// NameSuffix ends all names, such as -2; empty without a resource of the usual
	// name in the way.
	NameSuffix string
	// OwnTemplate says that the template is not ours: it may need no code.
	OwnTemplate bool

	// The code: a zip in a bucket, or an image in ECR.
	Bucket, Key, Image string
	// Runtime and Handler of a zip; empty means nodejs22.x and index.handler.
	Runtime, Handler string

	// AllowedOrigin is the frontend's origin, such as https://pr-7.example.com.
	AllowedOrigin string

	// BaseDomain gives the API the host name api-pr-N below it. It requires a
	// certificate for that name in the stack's region and the domain's hosted
	// zone: all three or none.
	BaseDomain, CertificateArn, HostedZoneID string
}

var commit = regexp.MustCompile(`^[a-f0-9]{40}$`)

// Parameters returns the parameters of our template. One of the user's own gets those of
// them that it declares. All errors in the settings are reported together.
func Parameters(s Settings) (map[string]string, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	all := map[string]string{
		"PRNumber": strconv.Itoa(s.Number), "CommitSha": s.Commit,
		"CodeBucket": s.Bucket, "CodeKey": s.Key, "ImageUri": s.Image,
	}
	for name, v := range map[string]string{
		"Environment": s.Environment, "ApiType": s.Type, "NameSuffix": s.NameSuffix, "Runtime": s.Runtime, "Handler": s.Handler,
		"AllowedOrigin": s.AllowedOrigin,
		"BaseDomain":    s.BaseDomain, "CertificateArn": s.CertificateArn, "HostedZoneId": s.HostedZoneID,
	} {
		if v != "" { // otherwise the template's default
			all[name] = v
		}
	}
	return all, nil
}

func (s Settings) check() error {
	var errs []error
	if s.Number <= 0 {
		errs = append(errs, fmt.Errorf("pull request %d: want a number above 0", s.Number))
	}
	if !commit.MatchString(s.Commit) {
		errs = append(errs, fmt.Errorf("commit %q: want 40 hexadecimal digits", s.Commit))
	}
	zip := s.Bucket != "" && s.Key != ""
	switch {
	case (s.Bucket == "") != (s.Key == ""):
		errs = append(errs, fmt.Errorf("code in bucket %q under key %q: want both", s.Bucket, s.Key))
	case s.OwnTemplate && (!zip || s.Image == ""): // whatever it needs
	case zip == (s.Image != ""):
		errs = append(errs, errors.New("the code: want either a zip or an image"))
	}
	if s.Image != "" && (s.Runtime != "" || s.Handler != "") {
		errs = append(errs, errors.New("an image has no runtime and no handler"))
	}
	domain := []string{s.BaseDomain, s.CertificateArn, s.HostedZoneID}
	if slices.Contains(domain, "") && domain[0]+domain[1]+domain[2] != "" {
		errs = append(errs, errors.New("a domain of its own: want base domain, certificate and hosted zone, or none of them"))
	}
	return errors.Join(errs...)
}
