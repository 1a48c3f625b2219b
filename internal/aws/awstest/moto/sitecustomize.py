"""What CloudFormation does and moto_server does not.

Python imports this file by its name before moto_server starts. It adds two things to
moto's own registries:

* the types AWS::ApiGatewayV2::*, made for real by moto's own backend of that service;
* the tags of a stack on its resources, where moto's service has tags.

It prints a line at its end, which the test that starts the server waits for: an error
in here must not leave a moto without them.
"""

import sys


def add_models():
    from moto.apigatewayv2.models import apigatewayv2_backends
    from moto.core.common_models import CloudFormationModel

    def backend(account, region):
        return apigatewayv2_backends[account][region]

    def define(cfn_type, name, make, remove, attributes=None):
        """Registers a type. make(backend, properties) returns the physical id."""

        class Model(CloudFormationModel):
            __module__ = "moto.apigatewayv2.models"  # moto reads the service's name from it

            def __init__(self, physical_id, properties):
                self.physical_resource_id = physical_id
                self.properties = properties

            @staticmethod
            def cloudformation_name_type():
                return name

            @staticmethod
            def cloudformation_type():
                return cfn_type

            @classmethod
            def has_cfn_attr(cls, attr):
                return attr in (attributes or {})

            def get_cfn_attribute(self, attr):
                return attributes[attr](self)

            @classmethod
            def create_from_cloudformation_json(cls, _, json, account_id, region_name, **kwargs):
                properties = json.get("Properties", {})
                return cls(make(backend(account_id, region_name), properties), properties)

            @classmethod
            def update_from_cloudformation_json(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
                if original_resource.properties == cloudformation_json.get("Properties", {}):
                    return original_resource
                original_resource.delete(account_id, region_name)
                return cls.create_from_cloudformation_json(new_resource_name, cloudformation_json, account_id, region_name)

            def delete(self, account_id, region_name):
                remove(backend(account_id, region_name), self.physical_resource_id, self.properties)

            def is_created(self):
                return True

        kept.append(Model)

    def make_api(b, p):
        return b.create_api(
            api_key_selection_expression="", cors_configuration=p.get("CorsConfiguration"), description=p.get("Description", ""),
            disable_schema_validation=False, disable_execute_api_endpoint=False, name=p["Name"], protocol_type=p["ProtocolType"],
            route_selection_expression="", tags=p.get("Tags", {}), version="",
        ).api_id

    def make_integration(b, p):
        return b.create_integration(
            api_id=p["ApiId"], connection_id=None, connection_type=None, content_handling_strategy=None, credentials_arn=None,
            description=None, integration_method="POST", integration_subtype=None, integration_type=p["IntegrationType"],
            integration_uri=p["IntegrationUri"], passthrough_behavior=None, payload_format_version=p["PayloadFormatVersion"],
            request_parameters=None, request_templates=None, response_parameters=None, template_selection_expression=None,
            timeout_in_millis=None, tls_config=None,
        ).id

    def make_route(b, p):
        kind, _, integration = p["Target"].partition("/")
        if kind != "integrations":
            raise ValueError("invalid target " + p["Target"])
        b.get_integration(p["ApiId"], integration)
        return b.create_route(
            api_id=p["ApiId"], api_key_required=False, authorization_scopes=None, authorization_type=None, authorizer_id=None,
            model_selection_expression=None, operation_name=None, request_models=None, request_parameters=None,
            route_key=p["RouteKey"], route_response_selection_expression=None, target=p["Target"],
        ).route_id

    def make_stage(b, p):
        return b.create_stage(p["ApiId"], {"stageName": p["StageName"], "autoDeploy": p.get("AutoDeploy", False)}).name

    def make_domain(b, p):
        lower = [{k[0].lower() + k[1:]: v for k, v in c.items()} for c in p["DomainNameConfigurations"]]
        return b.create_domain_name(p["DomainName"], lower, {}, p.get("Tags", {})).domain_name

    def make_mapping(b, p):
        b.get_stage(p["ApiId"], p["Stage"])
        return b.create_api_mapping(p["ApiId"], p.get("ApiMappingKey", ""), p["DomainName"], p["Stage"]).api_mapping_id

    v2 = "AWS::ApiGatewayV2::"
    define(v2 + "Api", "Name", make_api, lambda b, i, p: b.delete_api(i))
    define(v2 + "Integration", "", make_integration, lambda b, i, p: p["ApiId"] in b.apis and b.delete_integration(p["ApiId"], i))
    define(v2 + "Route", "", make_route, lambda b, i, p: p["ApiId"] in b.apis and b.delete_route(p["ApiId"], i))
    define(v2 + "Stage", "StageName", make_stage, lambda b, i, p: p["ApiId"] in b.apis and b.delete_stage(p["ApiId"], i))
    define(v2 + "DomainName", "DomainName", make_domain, lambda b, i, p: b.delete_domain_name(i), {
        "RegionalDomainName": lambda m: "d-" + m.physical_resource_id + ".execute-api.amazonaws.com",
        "RegionalHostedZoneId": lambda m: "Z1UJRXOUMOOFQ8",
    })
    define(v2 + "ApiMapping", "", make_mapping, lambda b, i, p: i in b.api_mappings and b.delete_api_mapping(i, p["DomainName"]))


kept = []  # moto finds subclasses by weak references


def tag_resources():
    from moto.apigateway.models import apigateway_backends
    from moto.apigatewayv2.models import apigatewayv2_backends
    from moto.awslambda.models import lambda_backends
    from moto.cloudformation import parsing
    from moto.dynamodb.models import dynamodb_backends
    from moto.iam.models import iam_backends
    from moto.logs.models import logs_backends
    from moto.s3.models import s3_backends

    def pairs(tags):
        return [{"Key": k, "Value": v} for k, v in tags.items()]

    def s3(account, region, r, tags):
        b = s3_backends[account]["aws"]
        b.put_bucket_tagging(r.name, {**b.tagger.get_tag_dict_for_resource(r.arn), **tags})

    def table(account, region, r, tags):
        r.tags = [t for t in r.tags if t["Key"] not in tags] + pairs(tags)

    def http_api(account, region, r, tags):
        b = apigatewayv2_backends[account][region]
        b.tag_resource(b.apis[r.physical_resource_id].arn, tags)

    taggers = {
        "AWS::S3::Bucket": s3,
        "AWS::DynamoDB::Table": table,
        "AWS::Lambda::Function": lambda a, g, r, t: lambda_backends[a][g].tag_resource(r.function_arn, t),
        "AWS::IAM::Role": lambda a, g, r, t: iam_backends[a]["aws"].tag_role(r.name, pairs(t)),
        "AWS::Logs::LogGroup": lambda a, g, r, t: logs_backends[a][g].tag_resource(r.arn, t),
        "AWS::ApiGateway::RestApi": lambda a, g, r, t: apigateway_backends[a][g].apis[r.id].tags.update(t),
        "AWS::ApiGatewayV2::Api": http_api,
    }
    create = parsing.parse_and_create_resource

    def create_and_tag(logical_id, resource_json, resources_map, account_id, region_name):
        resource = create(logical_id, resource_json, resources_map, account_id, region_name)
        tag = taggers.get(resource_json["Type"])
        if resource is not None and tag and resources_map.tags:
            tag(account_id, region_name, resource, dict(resources_map.tags))
        return resource

    parsing.parse_and_create_resource = create_and_tag


if any(a.endswith("moto_server") for a in getattr(sys, "orig_argv", sys.argv)):
    add_models()
    tag_resources()
    print("candlefish: moto extended", flush=True)
