//go:build !unix

package toolbox

import (
	"context"
	"sync"
)

var installing sync.Mutex

// lockFile separates the installations of this process.
func lockFile(context.Context, string) (unlock func(), err error) {
	installing.Lock()
	return installing.Unlock, nil
}

func private(string) error { return nil }
