// Package scanners lists all scanners. Which of them a level needs is in package
// finding/verdict; a test holds both lists together.
package scanners

import (
	"slices"

	"github.com/candlefish/deploy-action/internal/scanner"
	"github.com/candlefish/deploy-action/internal/scanner/anysarif"
	"github.com/candlefish/deploy-action/internal/scanner/code"
	"github.com/candlefish/deploy-action/internal/scanner/dependencies"
	"github.com/candlefish/deploy-action/internal/scanner/dependencies/inventory"
	"github.com/candlefish/deploy-action/internal/scanner/dependencies/snyk"
	"github.com/candlefish/deploy-action/internal/scanner/images"
	"github.com/candlefish/deploy-action/internal/scanner/network"
	"github.com/candlefish/deploy-action/internal/scanner/secrets"
	"github.com/candlefish/deploy-action/internal/scanner/workflows"
)

// All returns all scanners, those of one class together.
func All() []scanner.Scanner {
	return []scanner.Scanner{
		secrets.Gitleaks{}, secrets.TruffleHog{}, secrets.Patterns{},
		dependencies.NPMAudit{}, dependencies.OSVScanner{}, dependencies.Govulncheck{}, snyk.Snyk{}, inventory.Inventory{},
		images.TrivyFS{}, images.TrivyConfig{}, images.TrivyImage{}, images.Hadolint{},
		code.ESLint{}, code.Semgrep{}, code.CodeQL{},
		workflows.Actionlint{}, workflows.Zizmor{}, workflows.Rules{},
		network.TLS{}, network.Headers{},
		anysarif.Files{},
	}
}

// Settings returns the names of all settings of scanners, sorted.
func Settings() []string {
	all := []string{
		code.SemgrepConfig, code.CodeQLSARIF, network.CAFile, secrets.GitleaksConfig,
		images.TrivyDB, dependencies.NPMRegistry, dependencies.OSVDB, dependencies.GoVulnDB, dependencies.GoRoot, dependencies.GoModCache, dependencies.GoSkip,
	}
	slices.Sort(all)
	return all
}
