//go:build !linux

package supervisor

import (
	"context"
	"errors"
)

// Run says that it needs Linux.
func Run(context.Context) error { return errors.New("the supervisor needs Linux") }
