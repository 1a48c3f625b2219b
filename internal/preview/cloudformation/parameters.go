package cloudformation

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/candlefish/deploy-action/internal/aws/stack"
	"github.com/candlefish/deploy-action/internal/aws/stack/template"
	"github.com/candlefish/deploy-action/internal/exit"
)

// parameterName is what CloudFormation takes as the name of a parameter.
var parameterName = regexp.MustCompile(`^[a-zA-Z0-9]{1,255}$`)

// ParametersOf reads NAME=value lines, and reports all that are wrong.
func ParametersOf(lines []string) (map[string]string, error) {
	all := map[string]string{}
	var errs []error
	for i, line := range lines {
		name, value, ok := strings.Cut(line, "=")
		_, twice := all[name]
		switch {
		case !ok || !parameterName.MatchString(name): // the line may be a secret, so it is not shown
			errs = append(errs, fmt.Errorf("api-parameters, line %d: want NAME=value, with a name of letters and digits", i+1))
		case twice:
			errs = append(errs, fmt.Errorf("api-parameters, line %d: %s is given twice", i+1, name))
		case len(value) > stack.MaxParameter:
			errs = append(errs, fmt.Errorf("api-parameters, line %d: %s has %d bytes, CloudFormation takes %d", i+1, name, len(value), stack.MaxParameter))
		}
		all[name] = value
	}
	if len(errs) > 0 {
		return nil, &exit.Error{Status: exit.BadInput, Err: errors.Join(errs...)}
	}
	return all, nil
}

// secretName matches the names of outputs whose values are taken for secrets, unless
// they only say where one is: SecretArn, TokenUrl.
var (
	secretName = regexp.MustCompile(`(?i)(secret|passwo?r?d|passphrase|token|credential|api_?key|private_?key|access_?key|connection_?string)`)
	placeName  = regexp.MustCompile(`(Arn|ARN|Name|Id|ID|Url|URL|Uri|URI|Endpoint)$`)
)

// secretsOf lists the values among the outputs that must not be shown: of parameters
// that the template marks NoEcho, of outputs named like secrets, and URLs with a
// password.
func secretsOf(spec stack.Spec, outputs map[string]string) []string {
	var secrets []string
	if t, err := template.Parse(spec.Template, nil); err == nil {
		secrets = t.Secrets(spec.Parameters)
	}
	for name, value := range outputs {
		named := secretName.MatchString(name) && !placeName.MatchString(name)
		if named || hasPassword(value) {
			secrets = append(secrets, value)
		}
	}
	slices.Sort(secrets)
	return secrets
}

func hasPassword(value string) bool {
	u, err := url.Parse(value)
	if err != nil || u.User == nil {
		return false
	}
	_, has := u.User.Password()
	return has
}
