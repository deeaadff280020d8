package cmd

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const referenceDir = "../docs/reference/commands"

// TestReference checks that docs/reference/commands is generated from the current commands.
func TestReference(t *testing.T) {
	want := reference()
	if *update {
		if err := os.RemoveAll(referenceDir); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(referenceDir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, page := range want {
			if err := os.WriteFile(filepath.Join(referenceDir, name), []byte(page), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	have, err := os.ReadDir(referenceDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range have {
		page, err := os.ReadFile(filepath.Join(referenceDir, e.Name()))
		if err != nil || string(page) != want[e.Name()] {
			t.Errorf("%s is not what the commands make it; run: go test -run='^TestReference$' ./cmd -update", e.Name())
		}
		delete(want, e.Name())
	}
	for name := range maps.Keys(want) {
		t.Errorf("%s is missing; run: go test -run='^TestReference$' ./cmd -update", name)
	}
}

// reference returns the pages about commands, by file name.
func reference() map[string]string {
	root := Tree()
	pages := map[string]string{"README.md": commandIndex(root), "flags.md": flagIndex(root)}
	for _, c := range root.Commands() {
		if c.Name() != "help" {
			pages[c.Name()+".md"] = commandPage(c)
		}
	}
	return pages
}

// markdown is a page under construction.
type markdown struct{ strings.Builder }

func (m *markdown) line(format string, args ...any) { fmt.Fprintf(m, format+"\n", args...) }

func (m *markdown) wrapped(text, indent string) {
	for _, line := range wrapped(text, 100-len(indent), "") {
		m.line("%s%s", indent, line)
	}
}

func (m *markdown) header(title string) {
	m.line("# %s\n", title)
	m.line("<!-- Made from the program by: go test -run='^TestReference$' ./cmd -update -->\n")
}

func (m *markdown) blocks(all []Block) {
	for _, b := range all {
		if b.Terms == nil {
			m.wrapped(marked(b.Text), "")
		}
		for _, t := range b.Terms {
			m.line("* `%s`:", t.Name)
			m.wrapped(marked(t.Text), "  ")
		}
		m.line("")
	}
}

// marked shows flags, commands and other words that are typed as code. A sentence that begins with a
// small letter begins with a command.
func marked(text string) string {
	words := strings.Split(text, " ")
	for i, w := range words {
		if begins := i == 0 || strings.HasSuffix(words[i-1], "."); begins && slices.Contains(commandNames, w) {
			words[i] = "`" + w + "`"
			continue
		}
		core := strings.TrimRight(w, ".,;:)?")
		open := len(core) - len(strings.TrimLeft(core, "("))
		if typed(core[open:]) {
			words[i] = w[:open] + "`" + core[open:] + "`" + w[len(core):]
		}
	}
	return strings.Join(words, " ")
}

var commandNames = []string{"pull", "lock", "unpack", "push", "serve", "values", "verify", "list", "diff", "outdated", "prune"}

// placeholders are parts of what is typed.
var placeholders = regexp.MustCompile(`^[a-z]+:[A-Z]+|^[A-Z]+\.[a-z]+`)

func typed(word string) bool {
	return placeholders.MatchString(word) || strings.HasPrefix(word, "--") && len(word) > 2 || word == "-" || word == "-h" || strings.Contains(word, "://") || strings.Contains(word, "=") ||
		strings.HasPrefix(word, "/") && word != "/64" || strings.Contains(word, "{") || strings.HasPrefix(word, "oci:") || strings.HasPrefix(word, "sha256:") ||
		len(word) > 1 && strings.ToUpper(word) == word && strings.ContainsAny(word, "/_@")
}

func (m *markdown) flags(groups []FlagGroup, inherited bool) {
	for _, g := range groups {
		g.Flags = slices.DeleteFunc(g.Flags, func(f Flag) bool { return f.Inherited != inherited })
		if len(g.Flags) == 0 {
			continue
		}
		m.line("### %s\n", g.Title)
		for _, f := range g.Flags {
			name := "`" + strings.TrimSpace(f.Name) + "`"
			if f.Variable != "" {
				name += " (`" + f.Variable + "`)"
			}
			m.line("* %s\\", name)
			text := marked(f.Summary)
			if f.Details != "" {
				text += ". " + strings.TrimSuffix(marked(f.Details), ".")
			}
			if len(f.Choices) > 0 {
				text += ". One of `" + strings.Join(f.Choices, "`, `") + "`"
			}
			if f.Repeatable {
				text += ". Repeatable"
			}
			if f.Default != "" {
				value := marked(f.Default)
				if value == f.Default && !strings.Contains(value, " ") && value != "all" {
					value = "`" + value + "`"
				}
				text += ". Default: " + value
			}
			m.wrapped(text+".", "  ")
		}
		m.line("")
	}
}

func (m *markdown) examples(p Page) {
	if p.Examples == "" {
		return
	}
	m.line("<!-- not run: the examples of --help. TestExamples checks their flags and arguments -->\n\n```console")
	continued := false
	for line := range strings.SplitSeq(p.Examples, "\n") {
		switch {
		case continued:
			line = "> " + line
		case line != "":
			line = "$ " + line
		}
		continued = strings.HasSuffix(line, `\`)
		m.line("%s", line)
	}
	m.line("```\n")
}

func (m *markdown) exitCodes(all []Term) {
	m.line("| code | meaning |\n|---|---|")
	for _, e := range all {
		m.line("| %s | %s |", e.Name, marked(e.Text))
	}
}

func commandPage(c *cobra.Command) string {
	p, m := PageOf(c), &markdown{}
	m.header(p.Name)
	m.blocks(p.About)
	m.line("```text\n%s\n```\n", p.Synopsis)
	for _, g := range p.Commands {
		for _, t := range g.Commands {
			m.line("* `%s %s`: %s", p.Name, t.Name, t.Text)
		}
		m.line("")
	}
	m.blocks(p.Details)
	if p.Examples != "" {
		m.line("## Examples\n")
	}
	m.examples(p)
	for _, sub := range c.Commands() {
		m.line("## %s\n", sub.Name())
		s := PageOf(sub)
		m.examples(s)
		p.Flags = s.Flags // all have the same ones
	}
	text := &markdown{}
	text.flags(p.Flags, false)
	if text.Len() > 0 {
		m.line("## Flags\n")
		m.wrapped("In parentheses is the environment variable that sets the flag. The key in the [configuration file](../configuration.md) is the flag without its dashes. There are also the [flags of every command](README.md#flags-of-every-command).\n", "")
		m.line("")
		m.WriteString(text.String())
	} else {
		m.line("There are only the [flags of every command](README.md#flags-of-every-command).\n")
	}
	if len(p.ExitCodes) > 0 {
		m.line("## Exit codes\n")
		m.exitCodes(p.ExitCodes)
		m.line("\n[Exit codes](../exit-codes.md) has the others, and the usual causes.")
	}
	return strings.TrimRight(m.String(), "\n") + "\n"
}

func commandIndex(root *cobra.Command) string {
	p, m := PageOf(root), &markdown{}
	m.header("Commands")
	m.line("Look up a command, and the flags of every command. For one flag, see\n[all flags, keys and variables](flags.md). What exit codes mean is in [exit codes](../exit-codes.md).\n")
	for _, g := range p.Commands {
		m.line("## %s\n\n| command | it does |\n|---|---|", g.Title)
		for _, t := range g.Commands {
			if t.Name != "help" {
				m.line("| [%s](%s.md) | %s |", t.Name, t.Name, t.Text)
			}
		}
		m.line("")
	}
	m.line("`botkube-mirror COMMAND --help` prints the page of a command, and `COMMAND -h` only its flags.\n")
	m.line("## Flags of every command\n")
	m.wrapped("In parentheses is the environment variable that sets the flag. The key in the [configuration file](../configuration.md) is the flag without its dashes.", "")
	m.line("")
	m.flags(p.Flags, true)
	return strings.TrimRight(m.String(), "\n") + "\n"
}

// flagIndex lists all flags with the commands that have them.
func flagIndex(root *cobra.Command) string {
	owners := map[string][]string{}
	add := func(owner string, flags *pflag.FlagSet) {
		flags.VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" {
				owners[f.Name] = append(owners[f.Name], owner)
			}
		})
	}
	add("[every command](README.md#flags-of-every-command)", root.PersistentFlags())
	for _, c := range root.Commands() {
		add(fmt.Sprintf("[%s](%s.md)", c.Name(), c.Name()), c.LocalNonPersistentFlags())
		for _, sub := range c.Commands() {
			add(fmt.Sprintf("[%s](%s.md)", sub.CommandPath(), c.Name()), sub.LocalNonPersistentFlags())
		}
	}
	m := &markdown{}
	m.header("All flags, keys and variables")
	m.line("Find the command that has a flag, and how to set the flag in the environment and in the\n[configuration file](../configuration.md).\n")
	m.line("| flag | key in the file | environment variable | commands |\n|---|---|---|---|")
	for _, name := range slices.Sorted(maps.Keys(owners)) {
		key := "`" + name + "`"
		if slices.Contains(unsettable, name) {
			key = ""
		}
		m.line("| `--%s` | %s | `%s` | %s |", name, cmp.Or(key, "none"), envName(name), strings.Join(owners[name], ", "))
	}
	return m.String()
}
