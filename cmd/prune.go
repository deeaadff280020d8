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
		Short: "Drop what a lock no longer names; without DIR, sweep the store",
		Long: `With DIR, remove what earlier runs wrote to the directory and its lock no longer
names; of a site, what no version's lock names. (A version goes away when its
directory is removed.) What was not written by this program stays.

Without DIR, remove from the store what no output on this machine is made of,
and what killed runs left.

With --dry-run, only print what would be removed, and how many bytes that frees.`,
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
	c.Flags().BoolVar(&dry, "dry-run", false, "say what would be removed, and remove nothing")
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
