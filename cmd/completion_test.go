package cmd

import (
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestEverythingIsCompleted checks that every argument has a completer, and that every entry of the
// tables is used.
func TestEverythingIsCompleted(t *testing.T) {
	root := (&global{env: &Environment{Stdout: io.Discard, Stderr: io.Discard}}).command()
	flags, placeholders := map[string]bool{}, map[string]bool{}
	note := func(f *pflag.Flag) {
		placeholder, _ := placeholderOf(f)
		flags[f.Name], placeholders[placeholder] = true, true
		if placeholder == "DIR" && byFlag[f.Name] == nil && byPlaceholder["DIR"] == nil {
			t.Errorf("--%s takes a directory, but nothing completes it", f.Name)
		}
	}
	root.PersistentFlags().VisitAll(note)
	commands := map[string]*cobra.Command{}
	for _, c := range root.Commands() {
		commands[c.Name()] = c
		c.Flags().VisitAll(note)
		if c.HasSubCommands() || c.Name() == "help" {
			continue
		}
		taken := 0
		for n := range 5 {
			if c.Args(c, slices.Repeat([]string{"x"}, n)) == nil {
				taken = n
			}
		}
		if known := len(byArgument[c.Name()]); known != taken {
			t.Errorf("%s takes %d arguments, but byArgument has %d", c.Name(), taken, known)
		}
	}
	for name := range maps.Keys(byFlag) {
		if !flags[name] {
			t.Errorf("byFlag has %s, which is no flag", name)
		}
	}
	for placeholder := range maps.Keys(byPlaceholder) {
		if !placeholders[placeholder] {
			t.Errorf("byPlaceholder has %s, which no flag has", placeholder)
		}
	}
	for name := range maps.Keys(byArgument) {
		if commands[name] == nil {
			t.Errorf("byArgument has %s, which is no command", name)
		}
	}
}

func TestIsPlain(t *testing.T) {
	for word, want := range map[string]bool{
		"demo/hello@v1.1.0+build": true, "a,b": true, "oci:dir/": true, "docker://127.0.0.1:5000/x:y": true, "a:b=": true, "über": true,
		"": false, "=ls": false, "-x": false, "@x": false, "~": false, "a b": false, "$a": false, "`a`": false, "a;b": false, "a|b": false, "a&b": false, "(a)": false,
		"a>b": false, "a\nb": false, "a\tb": false, `a\b`: false, "a'b": false, `a"b`: false, "a*": false, "a?": false, "[a]": false,
		"{a}": false, "a#": false, "!a": false, "a^": false, "\x1b[2J": false, "a\u202eb": false, "a\xff": false,
	} {
		if isPlain(word) != want {
			t.Errorf("%q: %t", word, !want)
		}
	}
}
