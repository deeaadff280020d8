package cmd

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
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
			if len(args) == 1 {
				p := g.progress()
				pruned, err = (&mirror.Session{Observe: p.observe}).Prune(c.Context(), args[0], dry)
				p.close()
			} else {
				s, opened := g.openExistingStore(dry)
				if opened != nil {
					return opened
				}
				defer s.Close()
				pruned, err = mirror.SweepStore(c.Context(), s)
			}
			if err != nil {
				return err
			}
			return g.print(pruned, func(out *layout) { out.raw(pruneSummary(pruned)) })
		},
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "Print what would be removed and how many bytes that frees")
	group(c.Flags(), runFlags)
	return c
}

func pruneSummary(p mirror.Pruned) string {
	if len(p.Removed) == 0 && p.Bytes == 0 {
		return "nothing to remove\n"
	}
	removed, freed := "removed", "freed"
	if p.DryRun {
		removed, freed = "would remove", "would be freed"
	}
	var out strings.Builder
	for _, name := range p.Removed {
		fmt.Fprintf(&out, "%s %s\n", removed, name)
	}
	fmt.Fprintf(&out, "%s %s\n", humanize.IBytes(uint64(p.Bytes)), freed)
	return out.String()
}
