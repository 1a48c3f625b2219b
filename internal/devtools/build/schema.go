package build

import (
	"encoding/json"
	"reflect"

	"github.com/invopop/jsonschema"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/check"
	"github.com/candlefish/deploy-action/internal/judgefile"
)

const (
	schemaFile = "schema/analysis.schema.json"
	schemaID   = "https://raw.githubusercontent.com/candlefish/deploy-action/v1/" + schemaFile
)

// durations are what time.ParseDuration takes, without a sign.
const durations = `^(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`

// schemaJSON is the JSON Schema of the analysis file: of config.Config, of a metric's
// sources and of its checks. Names, descriptions and bounds are in the fields' tags
// json, help and jsonschema. The schema says of each key what may stand there; what
// belongs together, such as one source for each metric, only the loader checks
// (package judgefile).
func schemaJSON() string {
	s := schemaOf(reflect.TypeFor[config.Config](), "Config")
	s.ID, s.Title = schemaID, "How a rollout is judged (candlefish/deploy-action)"
	groups, _ := s.Definitions["Config"].Properties.Get("groups")
	groups.AdditionalProperties.ExclusiveMinimum = "0" // for which there is no tag

	metric := s.Definitions["Metric"]
	for _, kind := range judgefile.Sources() {
		add(s.Definitions, kind.Key, reflect.TypeOf(kind.New()))
		metric.Properties.Set(kind.Key, &jsonschema.Schema{Ref: "#/$defs/" + kind.Key, Description: kind.Help})
	}
	add(s.Definitions, "CustomCheck", reflect.TypeFor[check.Config]())

	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic("build: encode the schema: " + err.Error())
	}
	return string(text) + "\n"
}

// add puts the schema of a type, and those that it refers to, among the definitions.
func add(all jsonschema.Definitions, name string, t reflect.Type) {
	for name, s := range schemaOf(t, name).Definitions {
		all[name] = s
	}
}

// schemaOf is the schema of a type, whose own definition has a name.
func schemaOf(root reflect.Type, name string) *jsonschema.Schema {
	for root.Kind() == reflect.Pointer {
		root = root.Elem()
	}
	r := jsonschema.Reflector{
		Namer: func(t reflect.Type) string {
			if t == root {
				return name
			}
			return ""
		},
		Mapper: func(t reflect.Type) *jsonschema.Schema {
			if t == reflect.TypeFor[config.Duration]() {
				return &jsonschema.Schema{Type: "string", Pattern: durations, Examples: []any{"30s"}}
			}
			return nil
		},
		LookupComment: func(t reflect.Type, field string) string {
			if field == "" { // the type itself
				return ""
			}
			f, _ := t.FieldByName(field)
			return f.Tag.Get("help")
		},
	}
	return r.ReflectFromType(root)
}
