package cmd

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

func TestHelpFits(t *testing.T) {
	var check func(*cobra.Command)
	check = func(c *cobra.Command) {
		c.InitDefaultHelpFlag()
		text := helpOf(c)
		if example := strings.Index(text, "\nExamples:\n"); (c.Example == "") != (example < 0) {
			t.Errorf("%s: the examples are not in the help", c.CommandPath())
		} else if lines := strings.Count(text[:max(example, 0)], "\n"); lines > 12 {
			t.Errorf("%s: the examples come after %d lines", c.CommandPath(), lines)
		}
		for line := range strings.Lines(strings.Replace(text, c.Example, "", 1)) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > helpWidth {
				t.Errorf("%s: %d columns: %s", c.CommandPath(), n, line)
			}
		}
		for _, sub := range c.Commands() {
			check(sub)
		}
	}
	check(Tree())
}
