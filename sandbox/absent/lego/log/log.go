// Package log has the hook for a logger; nothing is ever written to it.
package log

import (
	stdlog "log"
)

// StdLogger is what a logger must do.
type StdLogger interface {
	Fatal(args ...any)
	Fatalln(args ...any)
	Fatalf(format string, args ...any)
	Print(args ...any)
	Println(args ...any)
	Printf(format string, args ...any)
}

// Logger takes the messages of the ACME client.
var Logger StdLogger = stdlog.Default()
