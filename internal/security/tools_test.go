package security

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/candlefish/deploy-action/internal/finding/verdict"
)

// A repository does not bring the scanner that judges it, by a link neither.
func TestToolsOfTheScannedFolderAreDenied(t *testing.T) {
	t.Parallel()
	scanned, other := t.TempDir(), t.TempDir()
	program := filepath.Join(scanned, "bin", "hadolint")
	content := []byte("#!/bin/sh\necho 1.0.0\n")
	sum := sha256.Sum256(content)
	if err := os.Mkdir(filepath.Dir(program), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, content, 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	link := filepath.Join(other, "linked")
	if err := os.Symlink(filepath.Dir(program), link); err != nil {
		t.Fatal(err)
	}
	for i, path := range []string{program, filepath.Join(link, "hadolint")} {
		lock := filepath.Join(t.TempDir(), fmt.Sprintf("lock-%d.yaml", i))
		text := fmt.Sprintf("version: 1\ntools:\n  hadolint:\n    path: %s\n    version: 1.0.0\n    sha256: %s\n", path, hex.EncodeToString(sum[:]))
		if err := os.WriteFile(lock, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		find := func(scanned string) error {
			finder, err := openToolbox(lock, scanned, os.Environ())
			if err != nil {
				t.Fatal(err)
			}
			_, err = finder.Find(t.Context(), "hadolint")
			return err
		}
		var absent absentTool
		if err := find(scanned); !errors.As(err, &absent) || absent.Health() != verdict.Denied {
			t.Errorf("%s: error %v", path, err)
		}
		if err := find(other); err != nil && filepath.Dir(path) != link {
			t.Errorf("%s, another folder is scanned: error %v", path, err)
		}
	}
}
