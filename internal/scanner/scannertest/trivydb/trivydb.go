// Package trivydb makes a database for the real Trivy in tests, in the layout of
// github.com/aquasecurity/trivy-db: few advisories, all of them published.
package trivydb

import (
	_ "embed" // data
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// data has the buckets of the database, see SOURCE.
//
//go:embed advisories.json
var data []byte

type content struct {
	Sources         map[string]json.RawMessage                       `json:"sources"`
	Advisories      map[string]map[string]map[string]json.RawMessage `json:"advisories"`
	Vulnerabilities map[string]json.RawMessage                       `json:"vulnerabilities"`
}

// Build makes the database below a cache folder of Trivy, as one that was made and
// fetched at a time. Empty, it has no advisories: a database that hides all.
func Build(t testing.TB, cache string, updated time.Time, empty bool) {
	t.Helper()
	var c content
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatalf("the database's data: %v", err)
	}
	if empty {
		c.Advisories = nil
	}
	folder := filepath.Join(cache, "db")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(filepath.Join(folder, "trivy.db"), 0o644, nil)
	if err != nil {
		t.Fatalf("make the database: %v", err)
	}
	defer db.Close()
	if err := db.Update(c.write); err != nil {
		t.Fatalf("write the database: %v", err)
	}
	about := fmt.Sprintf(`{"Version": 2, "NextUpdate": %q, "UpdatedAt": %q, "DownloadedAt": %q}`,
		updated.Add(24*time.Hour).Format(time.RFC3339), updated.Format(time.RFC3339), updated.Format(time.RFC3339))
	if err := os.WriteFile(filepath.Join(folder, "metadata.json"), []byte(about), 0o644); err != nil {
		t.Fatal(err)
	}
}

// write fills the buckets: data-source and vulnerability, and one for each source
// of advisories with one for each package in it.
func (c content) write(tx *bolt.Tx) error {
	if err := fill(tx, "data-source", c.Sources); err != nil {
		return err
	}
	if err := fill(tx, "vulnerability", c.Vulnerabilities); err != nil {
		return err
	}
	for source, packages := range c.Advisories {
		bucket, err := tx.CreateBucketIfNotExists([]byte(source))
		if err != nil {
			return err
		}
		for name, advisories := range packages {
			if err := fill(bucket, name, advisories); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill makes a bucket of keys and values.
func fill(parent interface {
	CreateBucketIfNotExists([]byte) (*bolt.Bucket, error)
}, name string, values map[string]json.RawMessage,
) error {
	bucket, err := parent.CreateBucketIfNotExists([]byte(name))
	if err != nil {
		return err
	}
	for key, value := range values {
		if err := bucket.Put([]byte(key), value); err != nil {
			return err
		}
	}
	return nil
}
