package cmd

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

// helpWidth is how many columns help takes, examples aside.
const helpWidth = 80

// addHelp adds cobra's command help, for which a command that there is not is an error.
func addHelp(root *cobra.Command) {
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { fmt.Fprint(c.OutOrStdout(), helpOf(c)) })
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		if c.Name() == "help" {
			c.Short, c.Long = "Show the help of a command", ""
			c.Run, c.RunE = nil, func(_ *cobra.Command, args []string) error { return help(root, args) }
		}
	}
}

// helpOf shows how a command is called before the details.
func helpOf(c *cobra.Command) string {
	about, details, _ := strings.Cut(cmp.Or(c.Long, c.Short), "\n\n")
	usage, _, _ := strings.Cut(c.UsageString(), "\nFlags:\n")
	text := about + "\n\n" + usage
	if details != "" {
		text += "\n" + details + "\n"
	}
	text += "\nFlags:\n" + FlagUsages(c.LocalFlags(), helpWidth)
	if c.HasAvailableInheritedFlags() {
		text += "\nGlobal Flags:\n" + FlagUsages(c.InheritedFlags(), helpWidth)
	}
	return padding.ReplaceAllLiteralString(text, "\n")
}

// FlagUsages lists flags for help and man pages, wrapped at so many columns; 0 wraps nothing.
func FlagUsages(flags *pflag.FlagSet, columns int) string {
	return optionalValue.ReplaceAllString(flags.FlagUsagesWrapped(columns), "[$1]")
}

// What pflag writes after a flag whose value may be left out, and before a line break.
var (
	optionalValue = lazyregexp.New(` (=[A-Z]+)\[="default"\]`)
	padding       = lazyregexp.New(` +\n`)
)

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
