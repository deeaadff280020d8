package cmd

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

func pruneCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "prune [DIR]",
		Short: "Drop what a directory's lock no longer names; without DIR, sweep the store",
		Long: `With DIR, remove what earlier runs wrote to the directory and its lock no longer
names; of a site, what no version's lock names. (A version goes away when its
directory is removed.) What was not written by this program stays.

Without DIR, remove from the store what no output of this machine that still
exists is made of, and what killed runs left.`,
		Args: maxArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var pruned mirror.Pruned
			var err error
			if len(args) == 1 {
				p := g.progress()
				pruned, err = (&mirror.Session{Observe: p.observe}).Prune(c.Context(), args[0])
				p.close()
			} else {
				s, opened := g.openStore()
				if opened != nil {
					return opened
				}
				defer s.Close()
				pruned, err = mirror.SweepStore(c.Context(), s)
			}
			if err != nil {
				return err
			}
			return g.print(pruned, func() string { return pruneSummary(pruned) })
		},
	}
}

func pruneSummary(p mirror.Pruned) string {
	if len(p.Removed) == 0 && p.Bytes == 0 {
		return "nothing to remove\n"
	}
	var out strings.Builder
	for _, name := range p.Removed {
		fmt.Fprintf(&out, "removed %s\n", name)
	}
	fmt.Fprintf(&out, "%s freed\n", humanize.IBytes(uint64(p.Bytes)))
	return out.String()
}
