// Package unsafe has no symbols for plugins.
package unsafe

import "reflect"

var Symbols map[string]map[string]reflect.Value
