package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

func pruneCommand(g *global) *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use:   "prune [DIR]",
		Short: "Remove files that are no longer needed",
		Long: `With DIR, remove files that earlier runs wrote to a directory or a site and that
no lock in it names any more. Files that botkube-mirror did not write stay.
To remove one version of a site, remove its directory, then run prune.

Without DIR, remove files from the store that no output on this machine uses,
and leftovers of runs that were killed.`,
		Example: `  botkube-mirror prune ./plugins --dry-run
  botkube-mirror prune --store /srv/store`,
		Args: maxArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var pruned mirror.Pruned
			var err error
			subject := "store"
			if len(args) == 1 {
				subject = args[0]
				p := g.progress()
				pruned, err = (&mirror.Session{Observe: p.observe}).Prune(c.Context(), args[0], dry)
				p.close()
			} else {
				s, opened := g.openExistingStore(dry)
				if opened != nil {
					return opened
				}
				defer s.Close()
				if dir, err := g.storeDir(); err == nil {
					subject += " " + dir
				}
				pruned, err = mirror.SweepStore(c.Context(), s)
			}
			if err != nil {
				return err
			}
			return g.print(pruned, func(out *layout) { pruneSummary(out, subject, pruned) })
		},
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "Print what would be removed and how many bytes that frees")
	group(c.Flags(), runFlags)
	return c
}

func pruneSummary(out *layout, subject string, p mirror.Pruned) {
	if len(p.Removed) == 0 && p.Bytes == 0 {
		out.verdict(good, subject, "nothing to remove")
		return
	}
	title, state, freed := "Removed:", "pruned", "freed"
	if p.DryRun {
		title, state, freed = "Would be removed:", "dry run", "to free"
	}
	out.verdict(plain, subject, state, fmt.Sprintf("%s and %s %s", count(len(p.Removed), "file"), size(p.Bytes), freed))
	if len(p.Removed) > 0 {
		out.title("%s", title)
		for _, name := range p.Removed {
			out.item("%s", name)
		}
	}
}
