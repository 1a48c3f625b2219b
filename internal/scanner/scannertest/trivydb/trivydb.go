// Package trivydb makes a database for the real Trivy in tests, in the layout of
// github.com/aquasecurity/trivy-db: few advisories, all of them published.
package trivydb

import (
	_ "embed" // data
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
	Sources         map[string]json.RawMessage `json:"sources"`
	Advisories      Advisories                 `json:"advisories"`
	Vulnerabilities map[string]json.RawMessage `json:"vulnerabilities"`
}

// Advisories are those of each source, by package and identifier.
type Advisories map[string]map[string]map[string]json.RawMessage

// Build makes a database, see [Write], with our advisories. Empty, it has none: a
// database that hides all.
func Build(t testing.TB, cache string, updated time.Time, empty bool) {
	t.Helper()
	c, err := ours()
	if empty {
		c.Advisories = nil
	}
	if err := errors.Join(err, c.save(cache, updated)); err != nil {
		t.Fatal(err)
	}
}

func ours() (c content, err error) {
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("the database's data: %w", err)
	}
	return c, nil
}

// Write makes a database below a cache folder of Trivy, as one that was made and
// fetched at a time: of our advisories, and of more sources, each with what data-source
// says of it.
func Write(cache string, updated time.Time, sources map[string]json.RawMessage, more Advisories) error {
	c, err := ours()
	if err != nil {
		return err
	}
	maps.Copy(c.Sources, sources)
	maps.Copy(c.Advisories, more)
	return c.save(cache, updated)
}

func (c content) save(cache string, updated time.Time) error {
	folder := filepath.Join(cache, "db")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	db, err := bolt.Open(filepath.Join(folder, "trivy.db"), 0o644, nil)
	if err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	if err := errors.Join(db.Update(c.write), db.Close()); err != nil {
		return fmt.Errorf("write the database: %w", err)
	}
	about := fmt.Sprintf(`{"Version": 2, "NextUpdate": %q, "UpdatedAt": %q, "DownloadedAt": %q}`,
		updated.Add(24*time.Hour).Format(time.RFC3339), updated.Format(time.RFC3339), updated.Format(time.RFC3339))
	return os.WriteFile(filepath.Join(folder, "metadata.json"), []byte(about), 0o644)
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
