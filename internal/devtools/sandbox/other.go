//go:build !linux

package sandbox

import (
	"context"

	"github.com/candlefish/deploy-action/internal/devtools/sandbox/binaries"
	"github.com/candlefish/deploy-action/internal/devtools/sandbox/host"
)

// Everything below is behind host.Check, which refuses systems other than Linux; the package compiles there so that programs which can
// start a sandbox can be built.

// Close has nothing to close.
func (s *Sandbox) Close() error { return nil }

func attach(context.Context, Options) (*Sandbox, error)               { return nil, host.Check() }
func inspect(context.Context, Options) (Status, error)                { return Status{}, host.Check() }
func clean(context.Context, Options) error                            { return host.Check() }
func launch(context.Context, Options, binaries.Set) (*Sandbox, error) { return nil, host.Check() }
