// Package cmd is the command line: each command turns flags into one call, and prints the result.
package cmd

import (
	"context"
	"io"
	"slices"

	"github.com/spf13/cobra"
)

// Environment is what a run gets from the system.
type Environment struct {
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	// Environ are all settings, each NAME=VALUE, in which misspelt names are looked for.
	Environ []string
	// Version is the program's, or empty for what the build recorded.
	Version string
}

// Run carries out a command line and returns the exit code.
func Run(ctx context.Context, env Environment) int {
	env.Stdout = &interruptible{ctx: ctx, to: env.Stdout}
	g := &global{env: &env, logFormat: env.logFormat()}
	root := g.command()
	err := checkNames(root, env.Args)
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	return g.report(ctx, err)
}

// Tree returns the commands, for those who describe them: man pages.
func Tree() *cobra.Command {
	g := &global{env: &Environment{}, logFormat: "text"}
	return g.command()
}

type global struct {
	env   *Environment
	file  string
	store string
	// sharedStore is for a store that others may write to.
	sharedStore bool
	format      string
	quiet       bool
	verbose     bool
	logFormat   string
	noProgress  bool
}

func (g *global) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "botkube-mirror",
		Short: "Carry Botkube plugins, and what they need, over an air gap",
		Long: `Botkube's agent downloads a plugin index, plugins and their dependencies every
time it starts. botkube-mirror resolves what it will ask for, downloads and
verifies it, and writes it so that the agent makes no call to the outside.

Every flag can be given as an environment variable too: --store as
BOTKUBE_MIRROR_STORE, and so on; several values are separated by commas, or by
line breaks if there are any. And as a key of the configuration file that --file
names: store: DIRECTORY, and so on. A flag wins over the environment, and that
over the file.

botkube-mirror COMMAND --help has the flags of a command.

Exit codes: 0 done, 1 unexpected, 2 usage or configuration, 3 upstream
unreachable or missing, 4 integrity, 5 incomplete, 6 differs (with --exit-code
only), 130 interrupted.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if g.isCompletion(c) {
				return nil
			}
			if err := checkEmpty(c.Flags()); err != nil {
				return err
			}
			if err := g.checkEnvironment(c.Root()); err != nil {
				return err
			}
			if err := g.fromEnvironment(c.Flags()); err != nil {
				return err
			}
			if err := g.fromFile(c); err != nil {
				return err
			}
			return g.check(c)
		},
	}
	root.SetArgs(g.env.Args)
	root.SetOut(g.env.Stdout)
	root.SetErr(g.env.Stderr)
	root.SetFlagErrorFunc(flagError)
	flags := root.PersistentFlags()
	flags.StringVarP(&g.file, "file", "f", "", "configuration `FILE` in YAML, with what flags say; what flags or the environment say wins (default: none)")
	flags.StringVar(&g.store, "store", "", "directory that keeps downloads for later runs (default: botkube-mirror in the user's cache directory)")
	flags.BoolVar(&g.sharedStore, "shared-store", false, "use a store that other users may write to: hash every blob before each use, and believe nothing else in it")
	flags.StringVar(&g.format, "format", "text", "form of the result on standard output: text or json; for diff, markdown too; for values, manifests and patch too")
	flags.BoolVarP(&g.quiet, "quiet", "q", false, "say nothing but the result, warnings and errors")
	flags.BoolVarP(&g.verbose, "verbose", "v", false, "tell of every step")
	flags.StringVar(&g.logFormat, "log-format", g.logFormat, "form of what is told on standard error: text or json")
	flags.BoolVar(&g.noProgress, "no-progress", false, "show no progress: neither the bar of a terminal nor, without one, lines and folded sections")
	root.AddCommand(pullCommand(g), lockCommand(g), listCommand(g), diffCommand(g), outdatedCommand(g), unpackCommand(g), pushCommand(g), verifyCommand(g), serveCommand(g), valuesCommand(g), pruneCommand(g), schemaCommand(g), versionCommand(g), completionCommand(g))
	g.completeValues(root)
	addHelp(root)
	return root
}

// check refuses values of --format and --log-format that the command does not have.
func (g *global) check(c *cobra.Command) error {
	for _, name := range []string{"format", "log-format"} {
		f := c.Flags().Lookup(name)
		if known := constraintsOf(c.Name(), f).Enum; !slices.Contains(known, f.Value.String()) {
			return notOneOf(name, known, f.Value.String())
		}
	}
	return nil
}
