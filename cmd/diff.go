package cmd

import (
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
			summary := diffSummary
			if g.format == "markdown" {
				summary = diffMarkdown
			}
			if err := g.print(d, func(out *layout) { out.raw(summary(d)) }); err != nil || !exitCode || len(d.Differences) == 0 {
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

func diffSummary(d *mirror.Diffed) string {
	var out strings.Builder
	if d.Alarming > 0 {
		fmt.Fprintf(&out, "ALARM: %s that must not change.\nUpstream replaced content, or somebody else did. Ask the publisher first.\n\n", plural(d.Alarming, "thing differs", "things differ"))
	}
	for _, difference := range d.Differences {
		fmt.Fprintln(&out, changeSigns[difference.Change], tameName(difference.String()))
	}
	writeNotCompared(&out, d.NotCompared)
	if len(d.Differences) == 0 {
		out.WriteString("no differences\n")
	} else {
		fmt.Fprintln(&out, count(len(d.Differences), "difference"))
	}
	return out.String()
}

var changeSigns = map[lock.Change]string{lock.Added: "+", lock.Removed: "-", lock.Changed: "~"}

func writeNotCompared(out *strings.Builder, all []mirror.NotCompared) {
	for _, n := range slices.Compact(all) {
		fmt.Fprintf(out, "not compared: %s, which the %s cannot hold\n", n.Subject.What(), forms.All.NameOf(n.Kind))
	}
}
