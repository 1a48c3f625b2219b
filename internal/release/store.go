package release

import (
	"encoding/json"
	"fmt"
)

// Schema is the version of Record's JSON. Decode refuses a record with another
// one.
const Schema = 1

// dataKey is the record's key in the ConfigMap's data; the other keys are for
// display.
const dataKey = "record.json"

// ObjectName returns the name of the ConfigMap and of the Lease of a
// Deployment.
func ObjectName(deployment string) string { return deployment + "-rollout" }

// Encode returns the data of the ConfigMap for r.
func Encode(r *Record) (map[string]string, error) {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the release record: %w", err)
	}
	return map[string]string{
		"phase":  string(r.State.Phase),
		"weight": fmt.Sprint(r.State.Weight),
		"run":    r.Run.String(),
		"image":  r.Image,
		"reason": r.State.Reason,
		dataKey:  string(raw),
	}, nil
}

// Decode parses the output of Encode.
func Decode(data map[string]string) (*Record, error) {
	var r Record
	if err := json.Unmarshal([]byte(data[dataKey]), &r); err != nil {
		return nil, fmt.Errorf("decode %s: %w", dataKey, err)
	}
	if r.Schema != Schema {
		return nil, fmt.Errorf("%s has schema %d, this version reads %d", dataKey, r.Schema, Schema)
	}
	return &r, nil
}
