package cmd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form/forms"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

func diffCommand(g *global) *cobra.Command {
	var net networkFlags
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Show what changed between two mirrors or locks",
		Long: `Show what changed from A to B, each whatever list shows: a bundle, a directory,
a site, an image, a lock, docker://REFERENCE, or - for standard input.

A file whose URL stayed the same must not change: where one did, diff says so.
The exit code is 0, whether anything changed or not.`,
		Example: `  botkube-mirror diff old.tar new.tar
  botkube-mirror diff botkube-mirror.lock.json ./plugins`,
		Args: exactArgs("A", "B"),
		RunE: func(c *cobra.Command, args []string) error {
			return show(c.Context(), g, net.sources(args...), diffSummary, func(s *mirror.Session) (*mirror.Diffed, error) {
				return s.Diff(c.Context(), args[0], args[1])
			})
		},
	}
	net.register(c)
	return c
}

func diffSummary(d *mirror.Diffed) string {
	var out strings.Builder
	for _, difference := range d.Differences {
		fmt.Fprintln(&out, changeSigns[difference.Change], tameName(difference.String()))
	}
	writeNotCompared(&out, d.NotCompared)
	if d.Alarming > 0 {
		fmt.Fprintf(&out, "%s of what must not change: upstream replaced what it had published, or somebody else did; ask the publisher before you use it\n", count(d.Alarming, "change"))
	}
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
