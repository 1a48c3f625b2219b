package judgefile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/candlefish/deploy-action/internal/analysis/config"
	"github.com/candlefish/deploy-action/internal/check"
	"github.com/candlefish/deploy-action/internal/source"
)

// A file is an analysis file as it stands, without defaults and before it is
// validated.
type file struct {
	config  config.Config
	sources [][]source.Config // of each metric; the first one is in config
}

// An object is a JSON object that is not decoded yet. Like encoding/json, its methods
// take a key in any case of letters.
type object map[string]any

// take removes a key and returns its value; nil if there is none.
func (o object) take(key string) (value any) {
	for k, v := range o {
		if strings.EqualFold(k, key) {
			value = v
			delete(o, k)
		}
	}
	return value
}

// parse reads YAML. Sources and checks are taken out of the document and decoded by
// themselves, since config.Config does not know what they hold.
func parse(raw []byte) (file, error) {
	var f file
	document, err := objectOf(raw)
	if err != nil {
		return f, err
	}
	if f.sources, err = takeSources(document); err != nil {
		return f, err
	}
	checks, err := takeChecks(document)
	if err != nil {
		return f, err
	}
	if document != nil {
		err = decode(document, &f.config)
	} else { // nothing, or what is no object
		err = yaml.UnmarshalStrict(raw, &f.config)
	}
	if err != nil {
		return f, err
	}
	f.config.Checks = checks
	for i, all := range f.sources {
		if len(all) > 0 {
			f.config.Metrics[i].Source = all[0]
		}
	}
	return f, nil
}

// objectOf is the document of a YAML file; nil when it is no object.
func objectOf(raw []byte) (object, error) {
	text, err := yaml.YAMLToJSONStrict(raw)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var document any
	if err := d.Decode(&document); err != nil {
		return nil, err
	}
	o, _ := document.(map[string]any)
	return o, nil
}

// decode decodes strictly, with YAML's rules: a number may stand for a text.
func decode(value, into any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return yaml.UnmarshalStrict(raw, into)
}

// takeSources takes the sources out of each metric.
func takeSources(document object) ([][]source.Config, error) {
	metrics := document.take("metrics")
	if metrics == nil {
		return nil, nil
	}
	document["metrics"] = metrics // of any type: decoding it says what is wrong
	list, _ := metrics.([]any)
	all := make([][]source.Config, len(list))
	for i, item := range list {
		m, _ := item.(map[string]any)
		for _, kind := range kinds {
			settings := object(m).take(kind.Key)
			if settings == nil {
				continue
			}
			c := kind.New()
			if err := decode(settings, c); err != nil {
				return nil, fmt.Errorf("metrics[%d].%s: %w", i, kind.Key, err)
			}
			all[i] = append(all[i], c)
		}
	}
	return all, nil
}

// takeChecks takes the checks out of the document, if they are a list.
func takeChecks(document object) ([]config.CustomCheck, error) {
	checks := document.take("checks")
	list, ok := checks.([]any)
	if !ok && checks != nil {
		document["checks"] = checks // decoding it says what is wrong
	}
	var all []config.CustomCheck
	for i, item := range list {
		var c check.Config
		if err := decode(item, &c); err != nil {
			return nil, fmt.Errorf("checks[%d]: %w", i, err)
		}
		all = append(all, c.Check())
	}
	return all, nil
}
