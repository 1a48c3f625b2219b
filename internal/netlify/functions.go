package netlify

import (
	"context"

	"github.com/netlify/open-api/v2/go/models"
	"github.com/netlify/open-api/v2/go/plumbing/operations"

	"github.com/candlefish/deploy-action/internal/netlify/site"
	"github.com/candlefish/deploy-action/internal/netlify/wire"
)

// describeFunctions adds names, digests, schedules and routes of functions to a
// request.
func describeFunctions(request *models.DeployFiles, functions []site.Function) {
	digests, config := map[string]string{}, map[string]models.FunctionConfig{}
	for _, f := range functions {
		digests[f.Name] = f.SHA256
		if f.Schedule != "" {
			request.FunctionSchedules = append(request.FunctionSchedules, &models.FunctionSchedule{Name: f.Name, Cron: f.Schedule})
		}
		if f.Config != nil {
			config[f.Name] = functionConfig(*f.Config)
		}
	}
	request.Functions = digests
	if len(config) > 0 {
		request.FunctionsConfig = config
	}
}

func functionConfig(c site.FunctionConfig) models.FunctionConfig {
	m := models.FunctionConfig{DisplayName: c.DisplayName, Generator: c.Generator, BuildData: c.BuildData, Priority: c.Priority,
		Routes: []*models.FunctionRoute{}, ExcludedRoutes: []*models.ExcludedFunctionRoute{}} // null is no array
	for _, r := range c.Routes {
		m.Routes = append(m.Routes, &models.FunctionRoute{Pattern: r.Pattern, Literal: r.Literal, Expression: r.Expression, Methods: append([]string{}, r.Methods...), PreferStatic: r.PreferStatic})
	}
	for _, r := range c.ExcludedRoutes {
		m.ExcludedRoutes = append(m.ExcludedRoutes, &models.ExcludedFunctionRoute{Pattern: r.Pattern, Literal: r.Literal, Expression: r.Expression})
	}
	if c.TrafficRules != nil {
		m.TrafficRules = trafficRules(*c.TrafficRules)
	}
	return m
}

func trafficRules(r site.TrafficRules) *models.TrafficRulesConfig {
	from := r.Action.Config
	keys := []*models.TrafficRulesAggregateConfigKeysItems{}
	for _, k := range from.Aggregate.Keys {
		keys = append(keys, &models.TrafficRulesAggregateConfigKeysItems{Type: k.Type})
	}
	return &models.TrafficRulesConfig{Action: &models.TrafficRulesConfigAction{Type: r.Action.Type, Config: &models.TrafficRulesConfigActionConfig{
		To: from.To, Aggregate: &models.TrafficRulesAggregateConfig{Keys: keys},
		RateLimitConfig: &models.TrafficRulesRateLimitConfig{
			Algorithm: from.RateLimitConfig.Algorithm, WindowSize: from.RateLimitConfig.WindowSize, WindowLimit: from.RateLimitConfig.WindowLimit,
		},
	}}}
}

// functionParams is the upload of one function.
func functionParams(ctx context.Context, deploy string, f site.Function, b *wire.Body, retries int) *operations.UploadDeployFunctionParams {
	params := operations.NewUploadDeployFunctionParamsWithContext(ctx).WithDeployID(deploy).WithName(f.Name).WithFileBody(b).WithRuntime(&f.Runtime)
	if f.Mode != "" {
		params.SetInvocationMode(&f.Mode)
	}
	if f.Timeout != 0 {
		params.SetTimeout(&f.Timeout)
	}
	if retries > 0 {
		n := int64(retries)
		params.SetXNfRetryCount(&n)
	}
	return params
}
