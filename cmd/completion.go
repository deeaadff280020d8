package cmd

import (
	"embed"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// byPlaceholder completes the value of a flag by its placeholder in help, for example FILE. Bools and
// flags with an Enum in [constraints] need no entry. Nothing is offered for other flags.
var byPlaceholder = map[string]completer{
	"FILE":                       (*asked).anyFile,
	"TARGET":                     (*asked).output,
	"LOCK":                       (*asked).source,
	"OS/ARCH":                    commaList((*asked).platforms),
	"OS/ARCH=FILE":               beforeEquals((*asked).seeders, (*asked).fileInWord),
	"REPOSITORY/NAME":            commaList((*asked).pluginNames),
	"REPOSITORY/NAME[@VERSION]":  commaList((*asked).plugins),
	"REPOSITORY/PLUGIN:NAME=URL": beforeEquals((*asked).dependencies, (*asked).fileInWord),
	"NAME=URL":                   beforeEquals((*asked).repositories, yamlFile),
	"NAME:KEY=VALUE":             (*asked).headers,
	"PART":                       commaList(oneOf(strings.Fields(partNames(" "))...)),
	"VERSION":                    (*asked).releases,
	"IMAGE":                      (*asked).image,
	"REFERENCE":                  (*asked).image,
	"=REFERENCE":                 (*asked).image,
}

// byFlag completes the values of flags for which the placeholder is not enough.
var byFlag = map[string]completer{
	"file":    yamlFile,
	"lock":    jsonFile,
	"store":   (*asked).directory,
	"values":  yamlFile,
	"version": (*asked).releases,
}

// byArgument completes the arguments of commands. After the last one, nothing is offered.
var byArgument = map[string][]completer{
	"diff":     {(*asked).source, (*asked).source},
	"list":     {(*asked).source},
	"lock":     {jsonFile},
	"outdated": {(*asked).source},
	"prune":    {(*asked).directory},
	"push":     {(*asked).source, nothing},
	"serve":    {(*asked).source},
	"unpack":   {(*asked).source},
	"values":   {(*asked).source},
	"verify":   {(*asked).source},
}

func yamlFile(a *asked) offer { return a.files(".yaml", ".yml") }
func jsonFile(a *asked) offer { return a.files(".json") }

func completerOf(command string, f *pflag.Flag, placeholder string) completer {
	if by := byFlag[f.Name]; by != nil {
		return by
	}
	if enum := constraintsOf(command, f).Enum; len(enum) > 0 {
		return oneOf(enum...)
	}
	if f.Value.Type() == "bool" {
		return oneOf("true", "false")
	}
	if by := byPlaceholder[placeholder]; by != nil {
		return by
	}
	return nothing
}

// completeValues registers the completers with cobra, but only if a shell asks for completion.
func (g *global) completeValues(root *cobra.Command) {
	if len(g.env.Args) == 0 || g.env.Args[0] != cobra.ShellCompRequestCmd && g.env.Args[0] != cobra.ShellCompNoDescRequestCmd {
		return
	}
	flags := func(c *cobra.Command, all *pflag.FlagSet) {
		all.VisitAll(func(f *pflag.Flag) {
			placeholder, _ := placeholderOf(f)
			f.Usage = describeFlag(c.Name(), f).Summary
			// It fails only for flags of all commands, which are registered already.
			_ = c.RegisterFlagCompletionFunc(f.Name, func(c *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
				return g.complete(c, args, typed, completerOf(c.Name(), f, placeholder))
			})
		})
	}
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	flags(root, root.PersistentFlags())
	for _, c := range root.Commands() {
		c.InitDefaultHelpFlag()
		flags(c, c.Flags())
		c.ValidArgsFunction = func(c *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
			by := nothing
			if all := byArgument[c.Name()]; len(args) < len(all) {
				by = all[len(args)]
			}
			return g.complete(c, args, typed, by)
		}
	}
}

// completionVariables are variables for cobra, without [envPrefix]. Its script for PowerShell sets
// them for the rest of the session, and people set them to turn descriptions off.
var completionVariables = []string{"ACTIVE_HELP", "COMPLETION_DESCRIPTIONS"}

// isCompletion reports whether a shell asks for completion. The environment and the configuration
// file are not checked then: the error would appear in the middle of a line, or when a shell starts.
func (g *global) isCompletion(c *cobra.Command) bool {
	script := c.HasParent() && c.Parent().Name() == "completion"
	if script {
		_ = g.fromEnvironment(c.Flags())
	}
	return script || c.Name() == cobra.ShellCompRequestCmd
}

// scripts ask this program how the word at the cursor can go on. Unlike cobra's scripts, they run
// nothing in the line, such as $(COMMAND), and complete values with @, :, = and commas.
//
//go:embed completion
var scripts embed.FS

// completionShell is a shell that has a script.
type completionShell struct {
	name, now, always string
}

var completionShells = []completionShell{
	{"bash", "source <(botkube-mirror completion bash)", "botkube-mirror completion bash > /etc/bash_completion.d/botkube-mirror"},
	{"zsh", "source <(botkube-mirror completion zsh)", `botkube-mirror completion zsh > "${fpath[1]}/_botkube-mirror"`},
	{"fish", "botkube-mirror completion fish | source", "botkube-mirror completion fish \\\n    > ~/.config/fish/completions/botkube-mirror.fish"},
	{"powershell", "botkube-mirror completion powershell | Out-String | Invoke-Expression", "botkube-mirror completion powershell >> $PROFILE"},
}

func completionCommand(g *global) *cobra.Command {
	c := &cobra.Command{
		Use:   "completion",
		Short: "Print the script for completion in a shell",
		Args:  noArgs,
	}
	c.RunE = func(*cobra.Command, []string) error { return c.Help() }
	for _, shell := range completionShells {
		c.AddCommand(shell.command(g))
	}
	return c
}

func (s completionShell) command(g *global) *cobra.Command {
	var bare bool
	c := &cobra.Command{
		Use:     s.name,
		Short:   "Print the script for completion in " + s.name,
		Example: "  # for this session\n  " + s.now + "\n\n  # for every new session\n  " + s.always,
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			script, err := s.script(c.Root())
			if err != nil {
				return err
			}
			if bare {
				script = strings.ReplaceAll(script, cobra.ShellCompRequestCmd+" ", cobra.ShellCompNoDescRequestCmd+" ")
			}
			_, err = io.WriteString(g.env.Stdout, script)
			return err
		},
	}
	c.Flags().BoolVar(&bare, "no-descriptions", false, "Complete without descriptions")
	group(c.Flags(), outputGroup)
	return c
}

// script returns the shell's script. The one for PowerShell is cobra's, with a line added: it would
// run commands in parentheses.
func (s completionShell) script(root *cobra.Command) (string, error) {
	if s.name != "powershell" {
		script, err := scripts.ReadFile("completion/" + s.name)
		return string(script), err
	}
	var out strings.Builder
	if err := root.GenPowerShellCompletionWithDesc(&out); err != nil {
		return "", err
	}
	const line = "    $Command = \"$Command\"\n"
	before, after, found := strings.Cut(out.String(), line)
	if !found {
		return "", errors.New("cobra's script for PowerShell has changed")
	}
	return before + line + "    if ($Command.Contains('(')) { return }\n" + after, nil
}
