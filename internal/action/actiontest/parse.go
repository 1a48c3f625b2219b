package actiontest

import (
	"fmt"
	"strings"
)

// ParseEntries reads a file of entries as the runner does: "name=value" on one
// line, or "name<<delimiter", lines, and the delimiter alone on a line.
func ParseEntries(text string) (map[string]string, error) {
	entries := map[string]string{}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if line == "" {
			continue
		}
		eq, here := strings.Index(line, "="), strings.Index(line, "<<")
		switch {
		case eq >= 0 && (here < 0 || eq < here):
			entries[line[:eq]] = line[eq+1:]
		case here > 0:
			name, delimiter := line[:here], line[here+2:]
			end := i + 1
			for end < len(lines) && lines[end] != delimiter {
				end++
			}
			if delimiter == "" || end == len(lines) {
				return entries, fmt.Errorf("the entry %q does not end", name)
			}
			entries[name] = strings.Join(lines[i+1:end], "\n")
			i = end
		default:
			return entries, fmt.Errorf("invalid format %q", line)
		}
	}
	return entries, nil
}

// scan reads the workflow commands in a step's output as the runner does.
func (r *Result) scan(raw string) error {
	var log strings.Builder
	open := false
	for line := range strings.Lines(raw) {
		name, value, ok := command(line)
		switch {
		case ok && name == "add-mask":
			r.Masks = append(r.Masks, value)
			continue
		case ok && (name == "error" || name == "warning" || name == "notice"):
			r.Annotations[name] = append(r.Annotations[name], value)
		case ok && name == "group":
			if open {
				return fmt.Errorf("group %q opens inside another", value)
			}
			open = true
		case ok && name == "endgroup":
			open = false
		case ok && name != "debug":
			return fmt.Errorf("unexpected command %q", line)
		}
		for _, m := range r.Masks {
			line = strings.ReplaceAll(line, m, "***")
		}
		log.WriteString(line)
	}
	r.Log = log.String()
	for level, list := range r.Annotations {
		if len(list) > 10 {
			return fmt.Errorf("%d annotations of level %s; GitHub shows 10", len(list), level)
		}
	}
	if open {
		return fmt.Errorf("a group is left open")
	}
	return nil
}

var unescape = strings.NewReplacer("%0D", "\r", "%0A", "\n", "%25", "%")

// command reads one line as a workflow command of the form "::name props::value".
func command(line string) (name, value string, ok bool) {
	line = strings.TrimSpace(line)
	rest, ok := strings.CutPrefix(line, "::")
	if !ok {
		return "", "", false
	}
	head, value, ok := strings.Cut(rest, "::")
	if !ok {
		return "", "", false
	}
	name, _, _ = strings.Cut(head, " ")
	return name, unescape.Replace(value), true
}
