package cmd

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// eachCommand calls f with every command.
func eachCommand(f func(*cobra.Command)) {
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		f(c)
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(Tree())
}

// TestHelpFits checks that help fits the terminal, and that the examples come within ten lines.
func TestHelpFits(t *testing.T) {
	eachCommand(func(c *cobra.Command) {
		p := PageOf(c)
		for _, width := range []int{60, 80, 100} {
			for _, short := range []bool{false, true} {
				text := helpOf(p, width, short)
				prose, _, found := strings.Cut(text, "\nExamples:\n")
				if found == (c.Example == "") {
					t.Errorf("%s: the examples are not in the help", p.Name)
				} else if lines := strings.Count(prose, "\n"); found && width >= 80 && lines > 10 {
					t.Errorf("%s: the examples come after %d lines", p.Name, lines)
				}
				for line := range strings.Lines(text) {
					line = strings.TrimSuffix(line, "\n")
					most := width
					if strings.Contains(p.Examples, strings.TrimSpace(line)) {
						most = 80
					}
					if n := columnsOf(line); n > most {
						t.Errorf("%s: %d columns, not %d: %s", p.Name, n, most, line)
					}
				}
			}
		}
	})
}

// TestFlagsAreDescribed checks that each flag is in a group, has a placeholder if it takes a value,
// and has a summary that a shell can show in a line.
func TestFlagsAreDescribed(t *testing.T) {
	eachCommand(func(c *cobra.Command) {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" {
				return
			}
			d := describeFlag(c.Name(), f)
			placeholder, _ := placeholderOf(f)
			switch {
			case f.Annotations[groupKey] == nil:
				t.Errorf("%s --%s is in no group", c.Name(), f.Name)
			case (placeholder == "") != (f.Value.Type() == "bool"):
				t.Errorf("%s --%s: the placeholder is %q", c.Name(), f.Name, placeholder)
			case columnsOf(d.Summary) > 66 || strings.HasSuffix(d.Summary, "."):
				t.Errorf("%s --%s: the summary is too long, or ends with a period: %s", c.Name(), f.Name, d.Summary)
			case d.Details != "" && !strings.HasSuffix(d.Details, "."):
				t.Errorf("%s --%s: no period at the end of: %s", c.Name(), f.Name, d.Details)
			}
		})
	})
}

// TestExamples checks the flags and the number of arguments in the examples.
func TestExamples(t *testing.T) {
	eachCommand(func(c *cobra.Command) {
		text := strings.ReplaceAll(unindented(c.Example), "\\\n", "")
		for line := range strings.Lines(text) {
			_, line, _ = strings.Cut("| "+line, "| ")
			line, _, _ = strings.Cut(line, " >")
			args := strings.Fields(strings.ReplaceAll(line, "'", ""))
			if len(args) == 0 || args[0] != "botkube-mirror" || slices.Contains(args, "|") {
				continue
			}
			sub, rest, err := Tree().Find(args[1:])
			if err == nil {
				err = sub.ParseFlags(rest)
			}
			if err == nil {
				err = sub.ValidateArgs(sub.Flags().Args())
			}
			if err != nil {
				t.Errorf("%s: %s: %v", c.Name(), line, err)
			}
		}
	})
}
