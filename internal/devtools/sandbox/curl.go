package sandbox

import (
	"context"
	"fmt"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/control"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/manifest"
)

// routeList is what a curl command needs of the sandbox's HTTPRoutes.
type routeList struct {
	Items []struct {
		Metadata struct{ Namespace string }
		Spec     struct {
			Hostnames  []string
			ParentRefs []struct{ Namespace, Name string }
		}
	}
}

// Curl returns the commands that ask the entry points for what is deployed, one for each host of an HTTPRoute.
func (s *Sandbox) Curl(ctx context.Context) ([]string, error) { return readCurl(ctx, s.Serving) }

func readCurl(ctx context.Context, at control.Serving) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, control.AnswerLimit)
	defer cancel()
	c, err := manifest.Connect(at.Kubeconfig)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var routes routeList
	if err := c.Get(ctx, "/apis/gateway.networking.k8s.io/v1/httproutes", &routes); err != nil {
		return nil, err
	}
	return curl(routes, at), nil
}

// curl writes the commands. A gateway knows a route by its host and answers 404 to a request without one.
func curl(routes routeList, at control.Serving) []string {
	var commands []string
	for _, r := range routes.Items {
		for _, parent := range r.Spec.ParentRefs {
			if parent.Namespace == "" {
				parent.Namespace = r.Metadata.Namespace
			}
			for _, g := range []Gateway{at.Gateway, at.SlowGateway} {
				if g.Namespace != parent.Namespace || g.Name != parent.Name {
					continue
				}
				for _, host := range r.Spec.Hostnames {
					commands = append(commands, fmt.Sprintf("curl -H 'Host: %s' %s", host, g.URL))
				}
			}
		}
	}
	if len(commands) == 0 {
		return []string{fmt.Sprintf("curl -H 'Host: HOST' %s, with the host of an HTTPRoute; none is deployed yet", at.EntryPoint)}
	}
	return commands
}
