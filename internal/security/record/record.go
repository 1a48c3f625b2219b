// Package record is security-report.json: a [verdict.Result] that later jobs and
// `mage security:explain` read.
//
// Names are in snake_case, times in RFC 3339, durations in seconds (their names end
// in _seconds), severities in words. What is not known is left out or, of counts, -1.
// The file follows the fields of a Result: a new field is a new name, and existing
// names keep their meaning as long as [Schema] stays. Hashes of secrets are left out.
package record

import (
	"encoding/json"
	"fmt"

	"github.com/candlefish/deploy-action/internal/finding/verdict"
	"github.com/candlefish/deploy-action/internal/jsonrecord"
)

// Schema is the version of the format.
const Schema = 1

// Name is the name of the file.
const Name = "security-report.json"

// Marshal renders a result, with a line for each field and each item of a list.
func Marshal(r verdict.Result) ([]byte, error) {
	raw, err := jsonrecord.Marshal([]jsonrecord.Entry{{Name: "schema_version", Value: Schema}}, r)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", Name, err)
	}
	return raw, nil
}

// Unmarshal reads what Marshal rendered, also in a later version of the same
// schema, which may have more fields.
func Unmarshal(raw []byte) (verdict.Result, error) {
	var r verdict.Result
	var head struct {
		Schema int `json:"schema_version"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return r, fmt.Errorf("read %s: %w", Name, err)
	}
	if head.Schema != Schema {
		return r, fmt.Errorf("read %s: schema_version is %d, want %d", Name, head.Schema, Schema)
	}
	if err := jsonrecord.Unmarshal(raw, &r); err != nil {
		return verdict.Result{}, fmt.Errorf("read %s: %w", Name, err)
	}
	switch r.Verdict {
	case verdict.Pass, verdict.Refused, verdict.Inconclusive:
		return r, nil
	}
	return verdict.Result{}, fmt.Errorf("read %s: %q is no verdict", Name, r.Verdict)
}
