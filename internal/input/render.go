package input

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Help returns the text that -h shows: all inputs and outputs of the Spec.
func (s Spec) Help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\nInputs are resolved in this order: flag, action input, environment, default.\n", s.Name, s.Description)
	for i, d := range s.Inputs {
		if d.Group != "" && (i == 0 || d.Group != s.Inputs[i-1].Group) {
			fmt.Fprintf(&b, "\n%s:\n", d.Group)
		}
		fmt.Fprintf(&b, "\n  %s\n      %s.\n      Values: %s.%s%s\n", d.usage(), d.Help, d.Allows(), d.later(), d.fallbacks())
	}
	b.WriteString("\nOutputs:\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, o := range s.Outputs {
		fmt.Fprintf(w, "  %s\t%s\n", o.Name, o.Help)
	}
	_ = w.Flush() // a strings.Builder never fails
	return b.String()
}

func (d Def) usage() string {
	forms := []string{"--" + d.Name}
	if d.Kind != Bool {
		forms[0] += " " + d.Kind.String()
	}
	if d.Alias != "" {
		forms = append(forms, "--"+d.Alias)
	}
	if d.Off != "" {
		forms = append(forms, "--"+d.Off)
	}
	return strings.Join(forms, ", ")
}

func (d Def) later() string {
	if len(d.Later) == 0 {
		return ""
	}
	return " Planned: " + strings.Join(d.Later, ", ") + "."
}

func (d Def) fallbacks() string {
	var b strings.Builder
	if d.Env != "" {
		fmt.Fprintf(&b, " Environment: %s.", d.Env)
	}
	switch {
	case d.Default != "":
		fmt.Fprintf(&b, " Default: %s.", d.Default)
	case d.Discovered != "":
		fmt.Fprintf(&b, " If unset: %s.", d.Discovered)
	}
	return b.String()
}

// ActionYAML returns the inputs and outputs of the Spec for action.yml. An
// input with an environment fallback gets no default there: the runner would
// always set it and so hide the environment variable.
func (s Spec) ActionYAML() string {
	var b strings.Builder
	b.WriteString("inputs:\n")
	for _, d := range s.Inputs {
		fmt.Fprintf(&b, "  %s:\n    description: %s\n", d.Name, quoteYAML(d.describe()))
		if d.Required && d.RequiredFor == "" && d.Env == "" {
			b.WriteString("    required: true\n")
		}
		if d.Default != "" && d.Env == "" {
			fmt.Fprintf(&b, "    default: %s\n", quoteYAML(d.Default))
		}
	}
	b.WriteString("outputs:\n")
	for _, o := range s.Outputs {
		fmt.Fprintf(&b, "  %s:\n    description: %s\n", o.Name, quoteYAML(o.Help+"."))
	}
	return b.String()
}

func (d Def) describe() string {
	text := d.Help + ". Values: " + d.Allows() + "." + d.later()
	if d.Default == "" || d.Env != "" {
		text += d.fallbacks()
	}
	return text
}

// quoteYAML returns text as a single-quoted scalar, in which only the quote
// itself is special.
func quoteYAML(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// InputTable returns the inputs as Markdown tables: the First ones, then one
// table per group.
func (s Spec) InputTable() string {
	var b strings.Builder
	if len(s.First) > 0 {
		b.WriteString("| Most used | Default | Description |\n|---|---|---|\n")
		for _, name := range s.First {
			d, _ := s.Def(name)
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", d.Name, cell(d.defaultCell()), cell(d.Help))
		}
		b.WriteString("\n")
	}
	for i, d := range s.Inputs {
		if i == 0 || d.Group != s.Inputs[i-1].Group {
			if i > 0 {
				b.WriteString("\n")
			}
			if d.Group != "" {
				fmt.Fprintf(&b, "### %s\n\n", d.Group)
			}
			b.WriteString("| Input | Values | Default | Environment | Description |\n|---|---|---|---|---|\n")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n",
			d.Name, cell(d.Allows()+d.laterCell()), cell(d.defaultCell()), code(d.Env), cell(d.Help+d.switchCell()))
	}
	return b.String()
}

func (d Def) laterCell() string {
	if len(d.Later) == 0 {
		return ""
	}
	return " (planned: " + strings.Join(d.Later, ", ") + ")"
}

func (d Def) switchCell() string {
	switch {
	case d.Off != "":
		return " (switch: `--" + d.Off + "`)"
	case d.Alias != "":
		return " (also `--" + d.Alias + "`)"
	}
	return ""
}

func (d Def) defaultCell() string {
	if d.Default == "" {
		return d.Discovered
	}
	return code(d.Default)
}

// OutputTable returns the outputs as a Markdown table.
func (s Spec) OutputTable() string {
	var b strings.Builder
	b.WriteString("| Output | Description |\n|---|---|\n")
	for _, o := range s.Outputs {
		fmt.Fprintf(&b, "| `%s` | %s |\n", o.Name, cell(o.Help))
	}
	return b.String()
}

// PermissionTable returns the permissions as a Markdown table.
func (s Spec) PermissionTable() string {
	var b strings.Builder
	b.WriteString("| Where | What | Why |\n|---|---|---|\n")
	for _, p := range s.Permissions {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", cell(p.Where), code(p.What), cell(p.Why))
	}
	return b.String()
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// cell escapes text for a cell of a Markdown table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
