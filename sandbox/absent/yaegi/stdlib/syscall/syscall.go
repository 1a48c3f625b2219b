// Package syscall has no symbols for plugins.
package syscall

import "reflect"

var Symbols map[string]map[string]reflect.Value
