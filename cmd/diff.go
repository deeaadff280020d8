package cmd

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/forms"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

func diffCommand(g *global) *cobra.Command {
	var net networkFlags
	var exitCode bool
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Show what changed between two mirrors or locks",
		Long: `Show what changed from A to B. Each is a lock or a mirror: a bundle, a directory,
a site, an image, docker://REFERENCE in a registry, or - for standard input.

A file must not change while its URL stays the same. diff points out each file
that did.

--format markdown prints a comment for a merge request. It has at most 60,000
bytes, and names in it are escaped.`,
		Example: `  botkube-mirror diff old.tar new.tar
  botkube-mirror diff botkube-mirror.lock.json ./plugins --exit-code

  # a comment for a merge request
  botkube-mirror diff old.lock.json new.lock.json --format markdown > comment.md`,
		Args: exactArgs("A", "B"),
		RunE: func(c *cobra.Command, args []string) error {
			d, err := inSession(c.Context(), g, net.sources(args...), func(s *mirror.Session) (*mirror.Diffed, error) {
				return s.Diff(c.Context(), args[0], args[1])
			})
			if err != nil {
				return err
			}
			write := writeDiff
			if g.format == "markdown" {
				write = func(out *layout, d *mirror.Diffed) { out.raw(diffMarkdown(d)) }
			}
			if err := g.print(d, func(out *layout) { write(out, d) }); err != nil || !exitCode || len(d.Differences) == 0 {
				return err
			}
			return fault.New(fault.Differs, "%s and %s differ", form.SourceName(args[0]), form.SourceName(args[1]))
		},
	}
	exitCodeFlag(c, &exitCode)
	net.register(c)
	return c
}

func exitCodeFlag(c *cobra.Command, to *bool) {
	c.Flags().BoolVar(to, "exit-code", false, "Exit with 6 if anything differs")
	group(c.Flags(), outputGroup)
}

func writeDiff(out *layout, d *mirror.Diffed) {
	verdict, state := diffVerdict(d, orNone), caution
	switch {
	case d.Alarming > 0:
		state = bad
	case len(d.Differences) == 0:
		state = good
	}
	if n := count(len(d.Differences), "difference"); len(d.Differences) > 0 && verdict[0] != n {
		verdict = append(verdict, n)
	}
	out.verdict(state, form.SourceName(d.A.Target)+" -> "+form.SourceName(d.B.Target), verdict[0], verdict[1:]...)
	if d.Alarming > 0 {
		out.text("Content changed that must not change: the publisher or an attacker replaced it. Ask the publisher before you use it.")
	}
	rest := d.Differences
	for _, t := range diffTables {
		var own []lock.Difference
		if own, rest = t.split(rest); len(own) == 0 {
			continue
		}
		var rows [][]string
		for _, d := range own {
			what, from, to := diffRow(d, orNone)
			rows = append(rows, []string{what, from, to})
		}
		was, is := phrase("WAS"), phrase("IS")
		was.named, is.named = true, true
		out.title("%s:", t.title)
		out.table([]column{word(strings.ToUpper(t.head)), was, is}, rows)
	}
	writeNotCompared(out, d.NotCompared)
}

// orNone returns a text, or a dash for an empty one.
func orNone(text string) string { return cmp.Or(text, "–") }

func writeNotCompared(out *layout, all []mirror.NotCompared) {
	for _, text := range notCompared(all) {
		out.note("%s", text)
	}
}

// notCompared says what one of the two mirrors cannot hold.
func notCompared(all []mirror.NotCompared) (notes []string) {
	for _, n := range slices.Compact(all) {
		notes = append(notes, fmt.Sprintf("not compared: %s, as the %s cannot hold it", n.Subject.What(), forms.All.NameOf(n.Kind)))
	}
	return notes
}

// changeSigns are for lines of outdated.
var changeSigns = map[lock.Change]string{lock.Added: "+", lock.Removed: "-", lock.Changed: "~"}
