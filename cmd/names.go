package cmd

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/spelling"
)

// checkNames refuses wrong names before flags are parsed. cobra would accept some of them, and report
// another problem first for others. It turns --version without a command into the command version.
func checkNames(root *cobra.Command, args []string) error {
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		return nil // a shell asks how what follows may go on
	}
	for _, c := range append(root.Commands(), root) {
		if c.HasSubCommands() {
			c.InitDefaultHelpFlag() // or Find would take a command that follows it for its value
		}
	}
	c, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	c.InitDefaultHelpFlag()
	if c == root {
		others := slices.DeleteFunc(slices.Clone(rest), func(arg string) bool { return arg == "--version" })
		if len(others) < len(rest) && c.ParseFlags(others) == nil && c.Flags().NArg() == 0 {
			root.SetArgs(append([]string{"version"}, others...))
			return nil
		}
	}
	if c.HasSubCommands() {
		_ = c.ParseFlags(rest) // which is done again, to say what is wrong with a flag
		if err := noArgs(c, c.Flags().Args()); err != nil {
			return err
		}
	}
	return checkForms(c, rest)
}

// checkForms refuses a long flag with one dash: -output=x would set -o to utput=x. It also checks the
// argument after each flag.
func checkForms(c *cobra.Command, args []string) error {
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if i+1 < len(args) {
			if err := checkValue(c, arg, args[i+1]); err != nil {
				return err
			}
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		long := len(name) > 1 && !strings.HasPrefix(name, "-") && name != arg
		if long && (c.Flags().Lookup(name) != nil || c.Root() == c && name == "version") {
			return fault.New(fault.Usage, "unknown flag: -%s", name).WithHint("write it with two dashes: --%s", name)
		}
	}
	return nil
}

// checkValue refuses an argument that follows a flag and is not its value, or that cobra would not
// take as its value.
func checkValue(c *cobra.Command, arg, next string) error {
	f := flagOf(c, arg)
	switch {
	case f == nil || strings.Contains(arg, "="):
		return nil
	case f.NoOptDefVal == "":
		if flagOf(c, next) != nil {
			follows, _, _ := strings.Cut(next, "=")
			return fault.New(fault.Usage, "%s needs a value, but %s follows", arg, follows).WithHint("give it a value; if a variable has it, set the variable")
		}
	case strings.HasPrefix(next, "-"):
	case next == "true" || next == "false" || f.Value.Type() != "bool" && c.Args(c, []string{next}) != nil:
		return fault.New(fault.Usage, "%s does not take %q: its value must follow a =", arg, next).WithHint("write %s=%s", arg, next)
	}
	return nil
}

// flagOf returns the flag at the beginning of an argument, or nil.
func flagOf(c *cobra.Command, arg string) *pflag.Flag {
	if name, long := strings.CutPrefix(arg, "--"); long {
		name, _, _ = strings.Cut(name, "=")
		return c.Flags().Lookup(name)
	}
	if len(arg) == 2 && arg[0] == '-' {
		return c.Flags().ShorthandLookup(arg[1:])
	}
	return nil
}

// otherNames are the names of a command in other tools.
var otherNames = map[string][]string{
	"diff":     {"compare"},
	"list":     {"ls", "show", "inspect", "info"},
	"lock":     {"pin", "resolve"},
	"outdated": {"updates", "check-updates"},
	"prune":    {"clean", "gc", "cleanup"},
	"pull":     {"download", "fetch", "get", "mirror", "save", "sync"},
	"push":     {"upload", "publish", "copy"},
	"unpack":   {"extract", "untar"},
	"values":   {"helm"},
	"verify":   {"check", "validate", "audit"},
}

func nearestCommand(parent *cobra.Command, word string) string {
	var names []string
	for _, c := range parent.Commands() {
		if slices.Contains(otherNames[c.Name()], strings.ToLower(word)) {
			return c.Name()
		}
		if c.IsAvailableCommand() || c.Name() == "help" {
			names = append(names, c.Name())
		}
	}
	slices.Sort(names)
	return spelling.Nearest(word, names)
}

// otherFlags are the names of a flag in other tools. If several flags have such a name, the hint
// is about the one that the command has.
var otherFlags = map[string][]string{
	"ca-file":              {"cacert", "ca-cert", "certificate-authority", "tls-ca-cert"},
	"client-cert":          {"cert"},
	"client-key":           {"key"},
	"exclude":              {"ignore", "without"},
	"file":                 {"config"},
	"insecure-skip-verify": {"insecure", "tls-verify", "src-tls-verify", "skip-tls-verify", "skip-verify"},
	"listen":               {"port", "p", "addr", "address", "bind", "host"},
	"log-format":           {"log"},
	"max-rate":             {"limit-rate", "bandwidth"},
	"network-policy":       {"networkpolicy"},
	"output":               {"dest", "destination", "dir", "directory", "to", "target", "d"},
	"parallel":             {"concurrency", "jobs", "workers", "threads", "j"},
	"plain-http":           {"http"},
	"platform":             {"arch", "os", "architecture"},
	"pvc":                  {"claim", "pvc-name"},
	"quiet":                {"silent", "s"},
	"repository":           {"repo", "index"},
	"retries":              {"retry"},
	"stall-timeout":        {"timeout"},
	"store":                {"cache", "cache-dir"},
	"tls-cert":             {"cert"},
	"tls-key":              {"key"},
	"verbose":              {"debug"},
	"via":                  {"proxy", "mirror"},
}

// flagError says what is wrong with a flag, and suggests what may be meant.
func flagError(c *cobra.Command, err error) error {
	e := fault.New(fault.Usage, "%w", valueError(err))
	see := fmt.Sprintf("see %s --help", c.CommandPath())
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return e.WithHint("%s", see)
	}
	name, shown := unknown.GetSpecifiedName(), "--"+unknown.GetSpecifiedName()
	short, _, _ := strings.Cut(unknown.GetSpecifiedShortnames(), "=")
	if short != "" {
		shown = "-" + name
	}
	if owners := ownersOf(c.Root(), func(f *pflag.Flag) bool { return f.Name == name && short == "" || f.Shorthand == name }); len(owners) > 0 {
		if c == c.Root() {
			return e.WithHint("%s belongs to %s: name the command first: %s COMMAND %s", shown, joinAnd(owners), c.Name(), shown)
		}
		return e.WithHint("%s belongs to %s; %s", shown, joinAnd(owners), see)
	}
	var known []string
	add := func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, f.Name)
		}
	}
	c.Flags().VisitAll(add)
	c.InheritedFlags().VisitAll(add)
	if c == c.Root() {
		known = append(known, "version") // see checkNames
	}
	if len(short) > 1 {
		name = short
	}
	for _, flag := range known {
		if slices.Contains(otherFlags[flag], name) {
			return e.WithHint("did you mean --%s? %s", flag, see)
		}
	}
	if near := spelling.Nearest(name, known); near != "" && len(name) > 1 {
		return e.WithHint("did you mean --%s? %s", near, see)
	}
	return e.WithHint("%s", see)
}

// ownersOf returns the commands that have such a flag, apart from the flags of every command.
func ownersOf(root *cobra.Command, such func(*pflag.Flag) bool) (owners []string) {
	for _, c := range root.Commands() {
		has := false
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) { has = has || such(f) })
		if has {
			owners = append(owners, c.Name())
		}
	}
	return owners
}

func joinAnd(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
