// Package configfile reads a YAML configuration file with values of flags, and makes the JSON
// Schema of such files. A [Grammar] describes the flags.
package configfile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Grammar is what a file may say: keys of commands, at its top for every command that has them,
// or in a section with the command's name.
type Grammar struct {
	Commands []Command
}

// Command is a command that takes settings from a file.
type Command struct {
	Name, Summary string
	Keys          []Key
}

// Key is a setting with its flag's name.
type Key struct {
	Name, Usage string
	Type        Type
	// Many is whether it may be given several times, and so be a list.
	Many bool
	// NoOptDefault is what true stands for if a flag needs no value. Then false stands for
	// Default.
	NoOptDefault string
	Default      string
	Constraints
	// Check, if not nil, has the last word on a value. Its error is repeated if Expects is
	// empty, unless it has the value.
	Check func(value string) error
}

// Type is what a value must be in YAML.
type Type int

const (
	Text Type = iota
	Bool
	Int
)

// Constraints narrow down what a value may be, if not zero.
type Constraints struct {
	// Expects says in words what a value must be.
	Expects string
	// Enum lists all values there are.
	Enum []string
	// Pattern is a regular expression as both Go and JSON Schema have them.
	Pattern string
	// Min and Max bound an integer, if Max is not 0.
	Min, Max int
	// Number is whether a text may be a plain number too, without quotes.
	Number bool
	// Separators lets a repeatable key be a mapping of names to texts, which the flag takes joined
	// with the first separator. With two separators, the strings are mappings, which the second
	// separator joins.
	Separators []string
}

// File is what a file says.
type File struct {
	common   map[string]Setting
	sections map[string]map[string]Setting
	grammar  Grammar
}

// Setting is what a file says of one key.
type Setting struct {
	Name string
	// Values has one value, or any number for a repeatable key.
	Values []string
	// Line and Column are where the value begins, counted from 1.
	Line, Column int
}

// Settings returns what the file says for a command, by name: its section, and what the top says
// besides.
func (f *File) Settings(command string) []Setting {
	found := map[string]Setting{}
	if c := f.grammar.command(command); c != nil {
		for _, k := range c.Keys {
			if s, ok := f.common[k.Name]; ok {
				found[k.Name] = s
			}
		}
	}
	maps.Copy(found, f.sections[command])
	return slices.SortedFunc(maps.Values(found), func(a, b Setting) int { return cmp.Compare(a.Name, b.Name) })
}

// Problem is a mistake in a file.
type Problem struct {
	// Line and Column are counted from 1, and 0 where there is none to name.
	Line, Column int
	Text         string
}

// In returns the problem with its place in a file, as compilers write it and editors read it.
func (p Problem) In(file string) string {
	switch {
	case p.Line == 0:
		return fmt.Sprintf("%s: %s", file, p.Text)
	case p.Column == 0:
		return fmt.Sprintf("%s:%d: %s", file, p.Line, p.Text)
	}
	return fmt.Sprintf("%s:%d:%d: %s", file, p.Line, p.Column, p.Text)
}

func (g Grammar) command(name string) *Command {
	for i := range g.Commands {
		if g.Commands[i].Name == name {
			return &g.Commands[i]
		}
	}
	return nil
}

func (c *Command) key(name string) *Key {
	for i := range c.Keys {
		if c.Keys[i].Name == name {
			return &c.Keys[i]
		}
	}
	return nil
}

func (g Grammar) owners(key string) (commands []string) {
	for i := range g.Commands {
		if g.Commands[i].key(key) != nil {
			commands = append(commands, g.Commands[i].Name)
		}
	}
	return commands
}

// variants returns the keys of a name that differ in what a value may be. A value at the top
// must suit all.
func (g Grammar) variants(name string) (keys []*Key) {
	for i := range g.Commands {
		k := g.Commands[i].key(name)
		if k != nil && !slices.ContainsFunc(keys, func(other *Key) bool { return k.alike(other) }) {
			keys = append(keys, k)
		}
	}
	return keys
}

func (k *Key) alike(other *Key) bool {
	return k.Type == other.Type && k.Many == other.Many && k.NoOptDefault == other.NoOptDefault &&
		slices.Equal(k.Enum, other.Enum) && k.Pattern == other.Pattern && k.Min == other.Min && k.Max == other.Max &&
		k.Number == other.Number && slices.Equal(k.Separators, other.Separators)
}

func (g Grammar) names() []string {
	var all []string
	for _, c := range g.Commands {
		all = append(all, c.names()...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (c *Command) names() []string {
	var all []string
	for _, k := range c.Keys {
		all = append(all, k.Name)
	}
	return all
}
