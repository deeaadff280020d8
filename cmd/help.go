package cmd

import (
	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// addHelp adds cobra's command help, for which a command that there is not is an error.
func addHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		if c.Name() == "help" {
			c.Run, c.RunE = nil, func(_ *cobra.Command, args []string) error { return help(root, args) }
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
