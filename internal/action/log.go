package action

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// Log returns a logger for adapters: debug lines appear in the runner's debug
// mode, info lines are plain, warnings and errors are annotations.
func (a *Action) Log() *slog.Logger { return slog.New(handler{a: a}) }

type handler struct {
	a      *Action
	prefix string // the open slog groups, each with a dot
	attrs  string // the attributes so far, each with a leading space
}

func (h handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || h.a.debug
}

func (h handler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message + h.attrs)
	r.Attrs(func(at slog.Attr) bool {
		b.WriteString(h.format(at))
		return true
	})
	switch {
	case r.Level >= slog.LevelError:
		h.a.Annotate(Annotation{Level: Error, Message: b.String()})
	case r.Level >= slog.LevelWarn:
		h.a.Annotate(Annotation{Level: Warning, Message: b.String()})
	case r.Level >= slog.LevelInfo:
		h.a.Print(b.String())
	default:
		h.a.Debug(b.String())
	}
	return nil
}

func (h handler) format(at slog.Attr) string {
	v := at.Value.Resolve()
	if v.Kind() != slog.KindGroup {
		return fmt.Sprintf(" %s%s=%s", h.prefix, at.Key, quoteIfNeeded(v.String()))
	}
	inner := h
	if at.Key != "" {
		inner.prefix += at.Key + "."
	}
	var b strings.Builder
	for _, g := range v.Group() {
		b.WriteString(inner.format(g))
	}
	return b.String()
}

func quoteIfNeeded(text string) string {
	if text == "" || strings.ContainsAny(text, " \t\r\n\"=") {
		return fmt.Sprintf("%q", text)
	}
	return text
}

// WithAttrs is part of [slog.Handler].
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, at := range attrs {
		h.attrs += h.format(at)
	}
	return h
}

// WithGroup is part of [slog.Handler].
func (h handler) WithGroup(name string) slog.Handler {
	if name != "" {
		h.prefix += name + "."
	}
	return h
}
