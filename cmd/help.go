package cmd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// addHelp adds cobra's command help, for which an unknown command is an error.
func (g *global) addHelp(root *cobra.Command) {
	root.SetHelpFunc(func(c *cobra.Command, _ []string) {
		width := g.env.layoutFor(c.OutOrStdout()).textWidth()
		short := slices.Contains(g.env.Args, "-h") && !slices.Contains(g.env.Args, "--help")
		fmt.Fprint(c.OutOrStdout(), helpOf(PageOf(c), width, short))
	})
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		if c.Name() == "help" {
			c.GroupID, c.Short, c.Long = otherCommands, "Show the help of a command", ""
			c.Run, c.RunE = nil, func(_ *cobra.Command, args []string) error { return help(root, args) }
		}
	}
}

// helpOf shows how a command is called before the details. A short help has one sentence for each
// flag, and no details.
func helpOf(p Page, width int, short bool) string {
	var out strings.Builder
	w := helpWriter{&out, width}
	w.blocks(p.About)
	w.title("Usage")
	w.wrapped(p.Synopsis, 2, 4)
	if p.Examples != "" {
		w.title("Examples")
		for line := range strings.Lines(p.Examples + "\n") {
			w.line(2, strings.TrimSuffix(line, "\n"))
		}
	}
	for _, g := range p.Commands {
		w.title(g.Title)
		w.terms(g.Commands)
	}
	if !short && len(p.Details) > 0 {
		out.WriteString("\n")
		w.blocks(p.Details)
	}
	for _, g := range p.Flags {
		w.title(g.Title)
		for _, f := range g.Flags {
			text := f.Text()
			if short {
				text = f.Short()
			}
			w.entry(f.Name, text, 30)
		}
	}
	if !short && len(p.ExitCodes) > 0 {
		w.title("Exit codes")
		w.terms(p.ExitCodes)
	}
	if short {
		out.WriteString("\n")
		w.wrapped(p.Name+" --help has the details.", 0, 0)
	}
	return out.String()
}

// helpWriter writes text that fits the terminal.
type helpWriter struct {
	out   *strings.Builder
	width int
}

func (w helpWriter) title(text string) { w.out.WriteString("\n" + text + ":\n") }

func (w helpWriter) line(indent int, text string) {
	w.out.WriteString(strings.TrimRight(strings.Repeat(" ", indent)+text, " ") + "\n")
}

func (w helpWriter) blocks(all []Block) {
	for i, b := range all {
		if i > 0 {
			w.out.WriteString("\n")
		}
		if b.Terms != nil {
			w.terms(b.Terms)
		} else {
			w.wrapped(b.Text, 0, 0)
		}
	}
}

// terms lists terms beside their meanings.
func (w helpWriter) terms(all []Term) {
	longest := 0
	for _, t := range all {
		longest = max(longest, len(t.Name))
	}
	for _, t := range all {
		w.entry(t.Name, t.Text, longest+4)
	}
}

// entry writes a text beside a name, from a column on. It goes below the name if there is no room.
func (w helpWriter) entry(name, text string, column int) {
	if w.width < column+40 {
		column = 10
	}
	if columnsOf(name)+4 > column {
		w.line(2, name)
		name = ""
	}
	for i, line := range wrapped(text, w.width-column, "") {
		if i == 0 && name != "" {
			w.line(2, fmt.Sprintf("%-*s%s", column-2, name, line))
			continue
		}
		w.line(column, line)
	}
}

// wrapped writes a text whose first line is indented differently.
func (w helpWriter) wrapped(text string, first, rest int) {
	for i, line := range wrapped(text, w.width-rest, "") {
		if i == 0 {
			w.line(first, line)
		} else {
			w.line(rest, line)
		}
	}
}

func help(root *cobra.Command, args []string) error {
	c, rest, err := root.Find(args)
	switch {
	case err != nil:
		return err
	case c.HasSubCommands():
		if err := noArgs(c, rest); err != nil {
			return err
		}
	case len(rest) > 0:
		return fault.New(fault.Usage, "%s has no command %q", c.CommandPath(), rest[0]).WithHint("see %s --help", c.CommandPath())
	}
	c.InitDefaultHelpFlag()
	return c.Help()
}
