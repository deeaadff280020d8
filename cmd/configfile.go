package cmd

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/botkube-mirror/botkube-mirror/internal/configfile"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

// constraints limit the values of flags. The configuration file, its schema and the commands use
// them. A flag without an entry is also a key of the file. COMMAND/FLAG is for one command only.
var constraints = map[string]configfile.Constraints{
	"dependency": {Expects: "REPOSITORY/PLUGIN:NAME=URL, or a mapping of plugins to mappings of dependencies to URLs", Pattern: `^[^/]+/[^/]+:[^:=]+=.+$`, Separators: []string{":", "="}},
	"exclude":    {Expects: "REPOSITORY/NAME", Pattern: several(`[^/,]+/[^/,]+`)},
	"format":     {Enum: []string{"text", "json"}},
	"header":     {Expects: "NAME:KEY=VALUE, or a mapping of repositories to mappings of header fields to values", Pattern: `^.+:[^:=]+=.+$`, Separators: []string{":", "="}},
	"log-format": {Enum: []string{"text", "json"}},
	"max-rate":   {Expects: "bytes a second, such as 500KB or 2MiB, of at least 1000", Pattern: `^[0-9]+(\.[0-9]+)? *([kKmMgGtT][iI]?)?[bB]?(/s)?$`, Number: true},
	"max-size":   {Expects: "bytes, such as 500MB or 2GiB", Pattern: `^[0-9]+(\.[0-9]+)? *([kKmMgGtT][iI]?)?[bB]?$`, Number: true},
	"parallel":   {Min: 1, Max: 64},
	"platform":   {Expects: "OS/ARCH or all", Pattern: several(`(all|[a-z0-9_]+/[a-z0-9_]+)`)},
	"plugin":     {Expects: "REPOSITORY/NAME or REPOSITORY/NAME@VERSION", Pattern: several(`[^/,]+/[^/,]+`)},
	"repository": {Expects: "NAME=URL, or a mapping of names to URLs", Pattern: `^[^=]+=.+$`, Separators: []string{"="}},
	"retries":    {Min: 0, Max: 1000},
	"seeder":     {Expects: "OS/ARCH=FILE or none, or a mapping of platforms to files", Pattern: `^(none|[a-z0-9_]+/[a-z0-9_]+=.+)$`, Separators: []string{"="}},
	"skip":       {Expects: partNames(" or "), Pattern: several("(" + partNames("|") + ")")},
	"tag":        {Expects: "a tag of a registry", Pattern: several(`[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`)},
	"via":        {Expects: "PREFIX=PREFIX, or a mapping of prefixes to prefixes", Pattern: `^[^=]+=.+$`, Separators: []string{"="}},

	"diff/format": {Enum: []string{"text", "json", "markdown"}},

	// of the command values
	"access-mode":   {Enum: []string{"ReadWriteOnce", "ReadWriteMany"}},
	"values/format": {Enum: []string{"text", "json", "manifests", "patch"}},
}

// several is the pattern of one or more values that are separated by commas.
func several(one string) string { return "^ *" + one + "( *, *" + one + ")* *$" }

// durations has the pattern of [time.ParseDuration], without signs and without 0 that has no unit.
var durations = configfile.Constraints{Expects: "a duration such as 30s or 2m", Pattern: `^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$`}

var unsettable = []string{"help", "file"}

// configurable reports whether a command reads the file. The others work even if the file is wrong.
func configurable(c *cobra.Command) bool {
	return c.HasParent() && !c.Parent().HasParent() && !c.Hidden && !slices.Contains([]string{"completion", "help", "schema"}, c.Name())
}

// grammar describes the file. It uses a second set of commands, so that values can be tried on their
// flags.
func (g *global) grammar() configfile.Grammar {
	var grammar configfile.Grammar
	for _, c := range (&global{env: g.env, logFormat: "text"}).command().Commands() {
		if !configurable(c) {
			continue
		}
		command := configfile.Command{Name: c.Name(), Summary: c.Short}
		c.LocalFlags() // adds those that all commands have
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !slices.Contains(unsettable, f.Name) {
				command.Keys = append(command.Keys, keyOf(c.Name(), f))
			}
		})
		grammar.Commands = append(grammar.Commands, command)
	}
	return grammar
}

func keyOf(command string, f *pflag.Flag) configfile.Key {
	_, usage := placeholderOf(f)
	_, many := f.Value.(pflag.SliceValue)
	k := configfile.Key{Name: f.Name, Usage: usage, Many: many, Constraints: constraintsOf(command, f), Check: f.Value.Set}
	switch name := f.Value.Type(); {
	case name == "bool":
		k.Type = configfile.Bool
	case strings.HasPrefix(name, "int"), strings.HasPrefix(name, "uint"), name == "count":
		k.Type = configfile.Int
	default:
		k.NoOptDefault = f.NoOptDefVal
	}
	if !many {
		k.Default = f.DefValue
	}
	return k
}

func constraintsOf(command string, f *pflag.Flag) configfile.Constraints {
	for _, key := range []string{command + "/" + f.Name, f.Name} {
		if c, ok := constraints[key]; ok {
			return c
		}
	}
	if f.Value.Type() == "duration" {
		return durations
	}
	return configfile.Constraints{}
}

// fromFile sets the flags that neither the command line nor the environment has set.
func (g *global) fromFile(c *cobra.Command) error {
	if g.file == "" || !configurable(c) {
		return nil
	}
	data, err := readConfigFile(g.file)
	if err != nil {
		return err
	}
	file, problems := configfile.Parse(data, g.grammar())
	for _, s := range file.Settings(c.Name()) {
		// Settings apply even if there are problems: --log-format decides how these are printed.
		if err := assign(c.Flags().Lookup(s.Name), s.Values); err != nil {
			problems = append(problems, configfile.Problem{Line: s.Line, Column: s.Column, Text: s.Name + ": it cannot be set"})
		}
	}
	if len(problems) == 0 {
		return nil
	}
	lines := []string{"the configuration file cannot be used:"}
	for _, p := range problems {
		lines = append(lines, p.In(tameName(g.file)))
	}
	hint := "a key is a flag without its dashes, or a command; arguments such as TARGET belong on the command line\nfor completion in an editor, use the JSON Schema that botkube-mirror schema prints"
	if helmKey.MatchString(strings.Join(lines, "\n")) {
		hint = "this looks like Helm values: give them with --values; -f names the configuration file of botkube-mirror"
	}
	return fault.New(fault.Usage, "%w", errors.New(strings.Join(lines, "\n"))).WithHint("%s", hint)
}

// helmKey matches the problem of a file that has Helm values.
var helmKey = lazyregexp.New(`unknown key "(communications|executors|sources)"`)

func assign(f *pflag.Flag, values []string) error {
	if f == nil || f.Changed {
		return nil
	}
	f.Changed = true
	if many, ok := f.Value.(pflag.SliceValue); ok {
		return many.Replace(values)
	}
	return f.Value.Set(values[0])
}

// readConfigFile reads a regular file. It follows links, because Kubernetes mounts files as links.
func readConfigFile(name string) ([]byte, error) {
	f, _, err := disk.Open(name)
	if err == nil {
		defer f.Close()
		// One byte more than allowed shows that the file is too large.
		return io.ReadAll(io.LimitReader(f, configfile.MaxSize+1))
	}
	e := fault.New(fault.Usage, "reading the configuration file %s: %w", name, disk.Reason(err))
	if near := disk.Similar(name); near != "" && errors.Is(err, fs.ErrNotExist) {
		return nil, e.WithHint("did you mean %s?", near)
	}
	if name == "-" {
		return nil, e.WithHint("write the configuration to a file, because standard input may be a bundle")
	}
	return nil, e.WithHint("name a file with --file, or unset BOTKUBE_MIRROR_FILE")
}
