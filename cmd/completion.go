package cmd

import (
	"github.com/spf13/cobra"
)

// completionVariables are set by cobra's scripts for shells, PowerShell's for the rest of the session, and by people
// who want no descriptions. They are without [envPrefix].
var completionVariables = []string{"ACTIVE_HELP", "COMPLETION_DESCRIPTIONS"}

// isCompletion reports whether a shell asks. What is wrong with the environment or the configuration file
// is not for the shell to say, in the middle of a line or when it starts.
func (g *global) isCompletion(c *cobra.Command) bool {
	script := c.HasParent() && c.Parent().Name() == "completion"
	if script {
		_ = g.fromEnvironment(c.Flags())
	}
	return script || c.Name() == cobra.ShellCompRequestCmd
}

// addCompletion adds cobra's command completion, with the argument errors of this program.
func (g *global) addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Args, c.RunE = noArgs, root.RunE
		for _, shell := range c.Commands() {
			shell.Args = noArgs
		}
	}
}
