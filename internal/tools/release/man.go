package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

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
	p := cmd.PageOf(c)
	w := &writer{}
	section := "User commands"
	if len(pageName(c)) > 32 { // the title is on both sides of it, in 80 columns
		section = ""
	}
	w.line(".TH %s 1 %s botkube-mirror \"%s\"\n.nh\n.ad l", roff(strings.ToUpper(pageName(c))), day.UTC().Format(time.DateOnly), section)
	w.line(".SH NAME\n%s \\- %s", roff(pageName(c)), roff(p.Summary))
	w.line(".SH SYNOPSIS\n\\fB%s\\fR%s", roff(p.Name), roff(strings.TrimPrefix(p.Synopsis, p.Name)))
	w.line(".SH DESCRIPTION")
	w.blocks(append(p.About, p.Details...))
	if len(p.Commands) > 0 {
		w.line(".SH COMMANDS")
	}
	for _, g := range p.Commands {
		if len(p.Commands) > 1 {
			w.line(".SS %s", roff(g.Title))
		}
		w.terms(g.Commands)
	}
	w.line(".SH OPTIONS")
	for _, g := range p.Flags {
		w.line(".SS %s", roff(g.Title))
		for _, f := range g.Flags {
			w.line(".TP\n%s\n%s", option(f.Name), roff(f.Text()))
		}
	}
	if len(p.ExitCodes) > 0 {
		w.line(".SH EXIT STATUS")
		w.terms(p.ExitCodes)
	}
	if p.Examples != "" {
		w.line(".SH EXAMPLES\n.nf")
		for line := range strings.SplitSeq(p.Examples, "\n") {
			w.line("%s", roff(line))
		}
		w.line(".fi")
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
		w.line(".SH SEE ALSO\n%s", strings.Join(related, ",\n"))
	}
	return w.Bytes()
}

func reference(c *cobra.Command) string { return "\\fB" + roff(pageName(c)) + "\\fR(1)" }

type writer struct{ bytes.Buffer }

func (w *writer) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

func (w *writer) blocks(all []cmd.Block) {
	for i, b := range all {
		switch {
		case b.Terms != nil:
			w.terms(b.Terms)
		case i == 0:
			w.line("%s", roff(b.Text))
		default:
			w.line(".PP\n%s", roff(b.Text))
		}
	}
}

// option sets the names of a flag in bold, and its placeholder in italics.
func option(name string) string {
	name = strings.TrimSpace(name)
	end := strings.LastIndex(name, "--")
	if i := strings.IndexAny(name[end:], " ["); i >= 0 {
		return "\\fB" + roff(name[:end+i]) + "\\fR" + strings.Replace("\\fI"+roff(name[end+i:])+"\\fR", "\\fI ", " \\fI", 1)
	}
	return "\\fB" + roff(name) + "\\fR"
}

func (w *writer) terms(all []cmd.Term) {
	for _, t := range all {
		w.line(".TP\n\\fB%s\\fR\n%s", roff(t.Name), roff(t.Text))
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
