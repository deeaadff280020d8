package cmd

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/forms"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

func listCommand(g *global) *cobra.Command {
	var sel selectionFlags
	var net networkFlags
	c := &cobra.Command{
		Use:   "list [TARGET | --version VERSION]",
		Short: "Show what a mirror holds, or what upstream offers",
		Long: `Show the plugins, platforms and dependencies of a mirror, with their sizes and
where their checksums come from. TARGET is a lock, a bundle or an image (a file,
a directory or docker://REFERENCE), a directory for an agent, a site, or one
version of it (SITE/VERSION). - reads standard input.

Without TARGET, list shows what pull would download with the same flags, by
default for all platforms.

list does not read the files themselves. verify does, and compares them.`,
		Example: `  botkube-mirror list bundle.tar
  botkube-mirror list --version v1.14.0 --platform linux/amd64
  botkube-mirror list --format json \
    docker://registry.example.com/mirror/botkube-plugins-bundle:v1.14.0`,
		Args: func(c *cobra.Command, args []string) error {
			if err := maxArgs(1)(c, args); err != nil || len(args) == 0 {
				return err
			}
			return refuseUpstreamFlags(c, args[0])
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listUpstream(c, g, &sel, net.upstream())
			}
			o, err := sel.options()
			if err != nil {
				return err
			}
			return show(c.Context(), g, net.sources(args...), listSummary, func(s *mirror.Session) (*mirror.Listing, error) {
				return s.List(c.Context(), args[0], o)
			})
		},
	}
	sel.register(c, true)
	net.register(c)
	return c
}

// upstreamFlags mean nothing for a mirror.
var upstreamFlags = []string{"version", "repository", "header", "values", "dependency", "lock", "require-checksums", "exec-template", "no-exec-templates", "with-agent-image", "watcher-image", "whole-image", "with-chart"}

// refuseUpstreamFlags refuses flags about upstream on the command line. Flags in the environment may
// be meant for other commands.
func refuseUpstreamFlags(c *cobra.Command, target string) error {
	for _, name := range upstreamFlags {
		if c.Flags().Changed(name) {
			return fault.New(fault.Usage, "%s and --%s cannot be used together", target, name).
				WithHint("show what a mirror holds: %s TARGET\nshow what upstream offers: %s --version VERSION", c.CommandPath(), c.CommandPath())
		}
	}
	return nil
}

func listUpstream(c *cobra.Command, g *global, flags *selectionFlags, n needs) error {
	sel, err := flags.selection(g)
	if err != nil {
		return err
	}
	if sel.Version == "" && sel.Lock == "" && len(sel.Repositories)+len(sel.Values) == 0 {
		return fault.New(fault.Usage, "a mirror or --version is needed").
			WithHint("show what a mirror holds: %s bundle.tar\nshow what upstream offers: %s --version v1.14.0, or --repository NAME=URL", c.CommandPath(), c.CommandPath())
	}
	return show(c.Context(), g, n, listSummary, func(s *mirror.Session) (*mirror.Listing, error) {
		return s.ListUpstream(c.Context(), sel)
	})
}

func listSummary(to *layout, l *mirror.Listing) {
	var out strings.Builder
	writeListHeader(&out, l)
	out.WriteString("\n")
	writeListTable(&out, l)
	out.WriteString("\n")
	writeListImage(&out, "agent image", l.AgentImage)
	writeListImage(&out, "watcher image", l.WatcherImage)
	if c := l.Chart; c != nil {
		fmt.Fprintf(&out, "chart %s %s, %s, checksum by %s\n", c.Name, c.Version, size(c.File.Size), c.File.VerifiedBy.What())
	}
	writeListTotals(&out, l)
	writeConfigured(&out, l.Values)
	to.raw(out.String())
}

func writeListHeader(out *strings.Builder, l *mirror.Listing) {
	writeIdentity(out, l.Identity)
	if l.Tag != "" {
		fmt.Fprintf(out, "  tag %s\n", tameName(l.Tag))
	}
	if l.Mount != "" {
		fmt.Fprintf(out, "  the agent must see it at %s\n", tameName(l.Mount))
	}
	if len(l.MountOnly) > 0 {
		fmt.Fprintf(out, "  to be mounted only, for %s: it has no program to fill a volume\n", agent.JoinPlatforms(l.MountOnly))
	}
	for _, r := range l.Repositories {
		fmt.Fprintf(out, "  repository %s: %s\n", r.Name, r.URL)
	}
}

func writeIdentity(out *strings.Builder, m mirror.Identity) {
	if m.Target != "" {
		out.WriteString(form.SourceName(m.Target) + ": ")
	}
	out.WriteString(forms.All.NameOf(m.Kind))
	if m.BotkubeVersion != "" {
		out.WriteString(" of Botkube " + m.BotkubeVersion)
	}
	if len(m.Platforms) > 0 {
		out.WriteString(" for " + agent.JoinPlatforms(m.Platforms))
	}
	out.WriteString("\n")
	if m.Digest != "" {
		fmt.Fprintf(out, "  digest %s\n", m.Digest)
	}
}

func writeListTable(out *strings.Builder, l *mirror.Listing) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PLUGIN\tTYPE\tVERSION\tPLATFORM\tSIZE\tCHECKSUM BY")
	fromNewest := false
	for _, p := range l.Plugins {
		for _, b := range p.Builds {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", p.Repository+"/"+p.Name, p.Type, p.Version, b.Platform, sizeAndChecksum(b.File))
			for _, d := range b.Dependencies {
				name := d.Name
				if d.FromNewest {
					name += " *"
					fromNewest = true
				}
				fmt.Fprintf(w, "  %s\tdependency\t\t%s\t%s\n", name, b.Platform, sizeAndChecksum(d.File))
			}
		}
		for _, t := range p.Templates {
			fmt.Fprintf(w, "  %s\ttemplates\t\tall\t%s\n", t.Ref, sizeAndChecksum(t.File))
		}
	}
	w.Flush()
	var replaced []lock.Replaced
	for _, p := range l.Plugins {
		replaced = append(replaced, lock.ReplacedIn([]lock.Plugin{p.Plugin})...)
	}
	writeReplaced(out, replaced)
	if fromNewest {
		out.WriteString("* only a newer version of the plugin lists it, but the agent looks for it all the same\n")
	}
}

func sizeAndChecksum(f mirror.ListedFile) string {
	s := "unknown"
	if f.Size >= 0 {
		s = size(f.Size)
	}
	return s + "\t" + f.VerifiedBy.What()
}

func writeListImage(out *strings.Builder, what string, im *mirror.ListedImage) {
	if im == nil {
		return
	}
	fmt.Fprintf(out, "%s %s, %s\n", what, im.Reference, size(im.Size))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, p := range im.Platforms {
		fmt.Fprintf(w, "  %s\t%s\tsha256:%s\n", p.Platform, size(p.Size), p.SHA256)
	}
	w.Flush()
}

func writeListTotals(out *strings.Builder, l *mirror.Listing) {
	fmt.Fprintf(out, "%s, %s: %s", count(len(l.Plugins), "plugin"), count(l.Totals.Files, "file"), size(l.Totals.Bytes))
	if l.Totals.UnknownSizes > 0 {
		fmt.Fprintf(out, ", %d of unknown size", l.Totals.UnknownSizes)
	}
	if l.Totals.AllBytes > l.Totals.Bytes {
		fmt.Fprintf(out, "; %s with all that is there", size(l.Totals.AllBytes))
	}
	out.WriteString("\n")
	writeChecksums(out, l.Files(), func(f mirror.ListedFile) (string, lock.ChecksumSource) { return f.URL, f.VerifiedBy })
}
