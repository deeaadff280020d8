// Package cmd is the command line. Each command turns its flags into one call and prints the result.
package cmd

import (
	"context"
	"io"
	"slices"

	"github.com/spf13/cobra"
)

// Environment is what the operating system passes to a run.
type Environment struct {
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	// Environ has all variables as NAME=VALUE. It is searched for misspelt names.
	Environ []string
	// Version is the program's version. If it is empty, the version in the build information counts.
	Version string
}

// Run executes a command line and returns the exit code.
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

// Tree returns the commands, for programs that describe them.
func Tree() *cobra.Command {
	g := &global{env: &Environment{}, logFormat: "text"}
	return g.command()
}

// otherCommands is the group of commands that also has the command help.
const otherCommands = "other"

func init() {
	cobra.EnableCommandSorting = false // help has them in the order in which they are used
}

type global struct {
	env   *Environment
	file  string
	store string
	// sharedStore says that other users may write to the store.
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
		Short: "Carry Botkube's plugins over an air gap",
		Long: `Botkube's agent downloads its plugins, and the tools that they call, each time
it starts. botkube-mirror downloads them once, checks every file, and writes
them in a form that the agent can use without internet.

Every flag is also an environment variable and a key of the configuration file:
--store is BOTKUBE_MIRROR_STORE in the environment, and store: in the file that
--file names. The command line wins over the environment, and the environment
over the file. In a variable, commas separate several values, or line breaks if
there are any.

botkube-mirror COMMAND --help describes a command, and COMMAND -h lists its
flags.`,
		Example: `  # where there is internet
  botkube-mirror pull --version v1.14.0 -o bundle.tar

  # on the other side of the gap
  botkube-mirror unpack bundle.tar -o ./plugins
  botkube-mirror verify ./plugins --values yours.yaml
  botkube-mirror values ./plugins --pvc botkube-plugins > mirror.yaml`,
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
	root.Flags().SortFlags = false
	flags.StringVar(&g.format, "format", "text", "`FORMAT` Print the result in this format")
	flags.BoolVarP(&g.quiet, "quiet", "q", false, "Print no progress, no notes and no next steps")
	flags.BoolVarP(&g.verbose, "verbose", "v", false, "Print every step")
	flags.StringVar(&g.logFormat, "log-format", g.logFormat, "`FORMAT` Print progress and messages in this format")
	flags.BoolVar(&g.noProgress, "no-progress", false, "Show no progress: no bar, no lines, no folded sections")
	group(flags, outputGroup)
	flags.StringVarP(&g.file, "file", "f", "", "`FILE` Read flags from this configuration file. Flags on the command line and environment variables win over it.")
	flags.StringVar(&g.store, "store", "", "`DIR` Keep downloads in this directory for later runs (default: botkube-mirror in the user's cache directory)")
	flags.BoolVar(&g.sharedStore, "shared-store", false, "Share the store with other users who may write to it. Every blob is hashed before each use, and nothing else in the store is trusted.")
	group(flags, settingsGroup)
	addGroup := func(id, title string, commands ...*cobra.Command) {
		root.AddGroup(&cobra.Group{ID: id, Title: title})
		for _, c := range commands {
			c.GroupID = id
		}
		root.AddCommand(commands...)
	}
	addGroup("make", "Make a mirror", pullCommand(g), lockCommand(g))
	addGroup("use", "Bring it to the agent", unpackCommand(g), pushCommand(g), serveCommand(g), valuesCommand(g))
	addGroup("look", "Check and compare", verifyCommand(g), listCommand(g), diffCommand(g), outdatedCommand(g))
	addGroup(otherCommands, "Other commands", pruneCommand(g), schemaCommand(g), completionCommand(g), versionCommand(g))
	g.completeValues(root)
	g.addHelp(root)
	return root
}

// check refuses values of --format and --log-format that the command does not support.
func (g *global) check(c *cobra.Command) error {
	for _, name := range []string{"format", "log-format"} {
		f := c.Flags().Lookup(name)
		if known := constraintsOf(c.Name(), f).Enum; !slices.Contains(known, f.Value.String()) {
			return notOneOf(name, known, f.Value.String())
		}
	}
	return nil
}
