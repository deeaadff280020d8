package cmd

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Page describes a command. Help, man pages and docs/reference/commands are made from it.
type Page struct {
	// Name is the command as it is typed: botkube-mirror pull.
	Name, Summary, Synopsis string
	// About comes before the examples, Details after them.
	About, Details []Block
	// Examples are command lines and comments, without indentation.
	Examples string
	Commands []CommandGroup
	Flags    []FlagGroup
	// ExitCodes are those that mean something particular for the command.
	ExitCodes []Term
}

// Block is a paragraph, or else a list of terms.
type Block struct {
	Text  string
	Terms []Term
}

// Term is a word and its meaning.
type Term struct{ Name, Text string }

// CommandGroup lists commands that belong together.
type CommandGroup struct {
	Title    string
	Commands []Term
}

// FlagGroup lists flags that belong together.
type FlagGroup struct {
	Title string
	Flags []Flag
}

// Flag describes a flag.
type Flag struct {
	// Name is the flag as help shows it: -o, --output TARGET.
	Name string
	// Summary is one sentence without a period. Details may follow it.
	Summary, Details string
	Choices          []string
	Repeatable       bool
	// Default is a value, or words if it depends on something. It is empty if there is none.
	Default string
	// Variable and Key set the flag elsewhere. They are empty if the flag cannot be set there.
	Variable, Key string
	// Inherited is set for the flags of all commands.
	Inherited bool
}

// Text returns the whole description.
func (f Flag) Text() string {
	if f.Details != "" {
		return f.Short() + ". " + f.Details
	}
	return f.Short()
}

// Short returns the description without its details.
func (f Flag) Short() string { return f.Summary + f.notes() }

func (f Flag) notes() string {
	var notes []string
	if len(f.Choices) > 0 {
		notes = append(notes, strings.Join(f.Choices, ", "))
	}
	if f.Repeatable {
		notes = append(notes, "repeatable")
	}
	if f.Default != "" {
		notes = append(notes, "default: "+f.Default)
	}
	if len(notes) == 0 {
		return ""
	}
	return " (" + strings.Join(notes, "; ") + ")"
}

// PageOf describes a command.
func PageOf(c *cobra.Command) Page {
	about, details, _ := strings.Cut(c.Long, "\n\n")
	if about == "" {
		about = c.Short + "."
	}
	c.InitDefaultHelpFlag()
	p := Page{
		Name: c.CommandPath(), Summary: c.Short, Synopsis: c.UseLine(), About: blocks(about), Details: blocks(details),
		Examples: unindented(c.Example), Commands: commandGroups(c), ExitCodes: exitCodes[c.Name()],
	}
	if c.HasAvailableSubCommands() {
		p.Synopsis = c.CommandPath() + " COMMAND [flags]"
	}
	c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" {
			p.add(c, f, !c.HasParent())
		}
	})
	if c.HasParent() {
		c.Root().PersistentFlags().VisitAll(func(f *pflag.Flag) { p.add(c, f, true) })
	}
	p.add(c, c.Flags().Lookup("help"), true)
	return p
}

func (p *Page) add(c *cobra.Command, f *pflag.Flag, inherited bool) {
	title := groupOf(f)
	i := slices.IndexFunc(p.Flags, func(g FlagGroup) bool { return g.Title == title })
	if i < 0 {
		i = len(p.Flags)
		p.Flags = append(p.Flags, FlagGroup{Title: title})
	}
	d := describeFlag(c.Name(), f)
	d.Inherited = inherited
	p.Flags[i].Flags = append(p.Flags[i].Flags, d)
}

// describeFlag reads a flag's usage: `PLACEHOLDER` Summary. Details. (default: WORDS)
func describeFlag(command string, f *pflag.Flag) Flag {
	placeholder, text := placeholderOf(f)
	if f.Name == "help" {
		text = "Show this help. -h leaves out the details."
	}
	d := Flag{Name: "    --" + f.Name, Choices: constraintsOf(command, f).Enum}
	if f.Shorthand != "" {
		d.Name = "-" + f.Shorthand + ", --" + f.Name
	}
	switch {
	case f.NoOptDefVal != "" && placeholder != "":
		d.Name += "[" + placeholder + "]"
	case placeholder != "":
		d.Name += " " + placeholder
	}
	text, d.Default = defaultOf(f, text)
	d.Summary, d.Details, _ = strings.Cut(text, ". ")
	_, d.Repeatable = f.Value.(pflag.SliceValue)
	if f.Name != "help" {
		d.Variable = envName(f.Name)
	}
	if !slices.Contains(unsettable, f.Name) {
		d.Key = f.Name
	}
	return d
}

// placeholderOf splits the usage of a flag: the placeholder comes first, in backquotes, unless the
// flag takes no value.
func placeholderOf(f *pflag.Flag) (placeholder, text string) {
	if rest, ok := strings.CutPrefix(f.Usage, "`"); ok {
		placeholder, text, _ = strings.Cut(rest, "` ")
		return placeholder, text
	}
	return "", f.Usage
}

// defaultOf splits off words for the default, or else returns the value.
func defaultOf(f *pflag.Flag, text string) (rest, value string) {
	if rest, words, found := strings.Cut(text, " (default: "); found {
		return rest, strings.TrimSuffix(words, ")")
	}
	switch f.DefValue {
	case "", "0", "[]", "false":
		return text, ""
	}
	if f.Value.Type() == "duration" {
		return text, strings.TrimSuffix(f.DefValue, "m0s") + strings.Repeat("m", strings.Count(f.DefValue, "m0s"))
	}
	return text, f.DefValue
}

// groupKey is the annotation with the title of a flag's group.
const groupKey = "group"

// Titles of groups that several commands have.
const (
	mirrorFlags   = "What to mirror"
	writeGroup    = "Where to write"
	runFlags      = "How to run"
	networkGroup  = "Network"
	registryGroup = "Registries and certificates"
	outputGroup   = "Output"
	settingsGroup = "Settings"
)

// group gives a title to the flags that were added since the last call, and keeps their order.
func group(flags *pflag.FlagSet, title string) {
	flags.SortFlags = false
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Annotations == nil {
			f.Annotations = map[string][]string{groupKey: {title}}
		}
	})
}

func groupOf(f *pflag.Flag) string {
	if title := f.Annotations[groupKey]; len(title) > 0 {
		return title[0]
	}
	return settingsGroup
}

// commandGroups lists the commands below a command.
func commandGroups(c *cobra.Command) (groups []CommandGroup) {
	for _, g := range c.Groups() {
		groups = append(groups, CommandGroup{Title: g.Title})
	}
	if len(groups) == 0 && c.HasAvailableSubCommands() {
		groups = []CommandGroup{{Title: "Commands"}}
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			i := max(0, slices.IndexFunc(c.Groups(), func(g *cobra.Group) bool { return g.ID == sub.GroupID }))
			groups[i].Commands = append(groups[i].Commands, Term{sub.Name(), sub.Short})
		}
	}
	return groups
}

// blocks splits a text at empty lines. An indented block is a list of terms. Two or more blanks are
// between a term and its meaning. Lines that are indented more continue the meaning.
func blocks(text string) (all []Block) {
	for part := range strings.SplitSeq(text, "\n\n") {
		switch {
		case part == "":
		case strings.HasPrefix(part, "  "):
			all = append(all, Block{Terms: terms(part)})
		default:
			all = append(all, Block{Text: strings.Join(strings.Fields(part), " ")})
		}
	}
	return all
}

func terms(list string) (all []Term) {
	for line := range strings.SplitSeq(list, "\n") {
		name, text, _ := strings.Cut(strings.TrimPrefix(line, "  "), "  ")
		if name == "" {
			all[len(all)-1].Text += " " + strings.TrimSpace(text)
			continue
		}
		all = append(all, Term{name, strings.TrimSpace(text)})
	}
	return all
}

func unindented(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		lines = append(lines, strings.TrimPrefix(line, "  "))
	}
	return strings.Join(lines, "\n")
}
