package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/botkube-mirror/botkube-mirror/cmd"
)

// pages returns a man page for each command, by file name.
//
// cobra/doc takes help texts for Markdown, and shows --quiet as --quiet[=false].
func pages(tree *cobra.Command, day time.Time) map[string][]byte {
	tree.InitDefaultHelpCmd()
	all := map[string][]byte{}
	var add func(c *cobra.Command)
	add = func(c *cobra.Command) {
		all[pageName(c)+".1"] = page(c, day)
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() && !sub.IsAdditionalHelpTopicCommand() {
				add(sub)
			}
		}
	}
	add(tree)
	return all
}

func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

func page(c *cobra.Command, day time.Time) []byte {
	c.InitDefaultHelpFlag()
	b := &bytes.Buffer{}
	name := pageName(c)
	fmt.Fprintf(b, ".TH %s 1 %s botkube-mirror \"botkube-mirror manual\"\n", roff(strings.ToUpper(name)), day.UTC().Format(time.DateOnly))
	fmt.Fprintf(b, ".SH NAME\n%s \\- %s\n", roff(name), roff(c.Short))
	fmt.Fprintf(b, ".SH SYNOPSIS\n%s\n", roff(c.UseLine()))
	b.WriteString(".SH DESCRIPTION\n")
	long := c.Long
	if long == "" {
		long = c.Short + "."
	}
	text(b, long)
	if c.HasAvailableSubCommands() {
		b.WriteString(".SH COMMANDS\n")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(b, ".TP\n\\fB%s\\fR\n%s\n", roff(sub.Name()), roff(sub.Short))
			}
		}
	}
	options(b, "OPTIONS", c.NonInheritedFlags())
	options(b, "GLOBAL OPTIONS", c.InheritedFlags())
	if c.Example != "" {
		b.WriteString(".SH EXAMPLES\n.nf\n")
		for line := range strings.Lines(c.Example) {
			fmt.Fprintf(b, "%s\n", roff(strings.TrimRight(line, "\n")))
		}
		b.WriteString(".fi\n")
	}
	var related []string
	if c.HasParent() {
		related = append(related, reference(c.Parent()))
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			related = append(related, reference(sub))
		}
	}
	if len(related) > 0 {
		fmt.Fprintf(b, ".SH SEE ALSO\n%s\n", strings.Join(related, ",\n"))
	}
	return b.Bytes()
}

func reference(c *cobra.Command) string { return "\\fB" + roff(pageName(c)) + "\\fR(1)" }

// text writes paragraphs, and leaves indented lines as they are.
func text(b *bytes.Buffer, s string) {
	verbatim := false
	for line := range strings.Lines(strings.TrimSpace(s) + "\n") {
		line = strings.TrimRight(line, "\n")
		switch indented := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t"); {
		case line == "":
			if verbatim {
				b.WriteString(".fi\n")
			}
			verbatim = false
			b.WriteString(".PP\n")
			continue
		case indented && !verbatim:
			b.WriteString(".nf\n")
			verbatim = true
		case !indented && verbatim:
			b.WriteString(".fi\n")
			verbatim = false
		}
		fmt.Fprintf(b, "%s\n", roff(line))
	}
	if verbatim {
		b.WriteString(".fi\n")
	}
}

// options writes flags as --help does: pflag knows their defaults and placeholders.
func options(b *bytes.Buffer, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	for line := range strings.Lines(cmd.FlagUsages(flags, 0)) {
		flag, usage, ok := strings.Cut(strings.TrimSpace(line), "   ")
		if !ok {
			fmt.Fprintf(b, "%s\n", roff(flag))
			continue
		}
		fmt.Fprintf(b, ".TP\n\\fB%s\\fR\n%s\n", roff(flag), roff(strings.TrimSpace(usage)))
	}
}

// roff escapes what roff would take for its own, and what it may show as typographic characters,
// which no shell takes: hyphens, quotes, carets and tildes.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}
