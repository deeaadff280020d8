package cmd

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
	"github.com/botkube-mirror/botkube-mirror/internal/spelling"
)

// noArgs and maxArgs are cobra's validators, but their errors have a hint.
func noArgs(c *cobra.Command, args []string) error { return maxArgs(0)(c, args) }

func maxArgs(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) <= n {
			return nil
		}
		if c.HasSubCommands() {
			e := fault.New(fault.Usage, "there is no command %q", args[0])
			if near := nearestCommand(c, args[0]); near == args[0] {
				return e.WithHint("write it without --: %s %s", c.CommandPath(), near)
			} else if near != "" {
				return e.WithHint("did you mean %s?", near)
			}
			return e.WithHint("see %s --help", c.CommandPath())
		}
		e := fault.New(fault.Usage, "%s does not take the argument %q", c.CommandPath(), args[n])
		return e.WithHint("%ssee %s --help", flagFor(c, args[n]), c.CommandPath())
	}
}

// flagFor says which flag of a command an argument may belong to.
func flagFor(c *cobra.Command, arg string) string {
	has := func(flag string) bool { return c.Flags().Lookup(flag) != nil }
	_, platform := agent.GuessPlatform(arg)
	switch end := filepath.Ext(arg); {
	case has("version") && looksLikeVersion.MatchString(arg):
		return fmt.Sprintf("give a Botkube version with --version: --version %s; ", arg)
	case has("platform") && platform:
		return fmt.Sprintf("separate platforms with commas: --platform linux/amd64,%s; ", arg)
	case has("values") && (end == ".yaml" || end == ".yml"):
		return fmt.Sprintf("give Helm values with --values: --values %s; ", arg)
	case has("output"):
		return "name the output with --output; "
	}
	return ""
}

var looksLikeVersion = lazyregexp.New(`^v?\d+\.\d+\.\d+`)

func exactArgs(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return fault.New(fault.Usage, "%s needs the argument %s", c.CommandPath(), names[len(args)]).WithHint("see %s --help", c.CommandPath())
		}
		return maxArgs(len(names))(c, args)
	}
}

// checkEmpty refuses an empty value for flags that it would turn off. Such a value usually comes
// from a shell variable that is not set.
func checkEmpty(flags *pflag.FlagSet) error {
	for _, flag := range []struct{ name, effect string }{
		{"lock", "nothing would be compared with it"},
		{"lock-digest", "nothing would be compared with it"},
		{"against", "nothing would be compared with it"},
		{"with-agent-image", "the image would be left out"},
		{"with-chart", "the chart would be left out"},
	} {
		if f := flags.Lookup(flag.name); f != nil && f.Changed && f.Value.String() == "" {
			return fault.New(fault.Usage, "the value of --%s is empty, so %s", flag.name, flag.effect).
				WithHint("set the variable that it comes from, or leave out --%s", flag.name)
		}
	}
	return nil
}

// notOneOf is the error of a flag with an unknown value.
func notOneOf(flag string, known []string, value string) error {
	e := fault.New(fault.Usage, "--%s must be one of %s, not %q", flag, strings.Join(known, ", "), value)
	if near := spelling.Nearest(value, known); near != "" {
		return e.WithHint("did you mean --%s %s?", flag, near)
	}
	if lower := strings.ToLower(value); flag == "format" && (lower == "yaml" || lower == "yml") && slices.Contains(known, "manifests") {
		return e.WithHint("the output is YAML by default: leave out --format")
	}
	return e
}

// The errors of libraries for a value of the wrong type.
var (
	notNumber   = lazyregexp.New(`strconv\.Parse(?:Int|Uint|Float): parsing ".*": (?:invalid syntax|value out of range)$`)
	notBool     = lazyregexp.New(`strconv\.ParseBool: parsing ".*": invalid syntax$`)
	notDuration = lazyregexp.New(`time: (?:invalid duration|missing unit in duration|unknown unit ".*" in duration) ".*"$`)
)

// valueError says what is wrong with a flag's value without Go's terms.
func valueError(err error) error {
	text := err.Error()
	text = notNumber.ReplaceAllLiteralString(text, "it is not a whole number")
	text = notBool.ReplaceAllLiteralString(text, "it is neither true nor false")
	text = notDuration.ReplaceAllLiteralString(text, "it is not "+durations.Expects)
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}
