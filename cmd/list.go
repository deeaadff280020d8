package cmd

import (
	"fmt"

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

func listSummary(out *layout, l *mirror.Listing) {
	out.identity(l.Identity)
	text := fmt.Sprintf("%s, %s: %s", count(len(l.Plugins), "plugin"), count(l.Totals.Files, "file"), size(l.Totals.Bytes))
	if l.Totals.UnknownSizes > 0 {
		text += fmt.Sprintf(", %d of unknown size", l.Totals.UnknownSizes)
	}
	if l.Totals.AllBytes > l.Totals.Bytes {
		text += fmt.Sprintf("; %s with images and the chart", size(l.Totals.AllBytes))
	}
	out.item("%s", text)
	out.tagged(l.Tag, l.Digest, 0)
	if l.Mount != "" {
		out.item("the agent must see it at %s", l.Mount)
	}
	for _, r := range l.Repositories {
		out.fact("repository "+r.Name, r.URL)
	}
	writeListTable(out, l)
	var files []checked
	for _, f := range l.Files() {
		files = append(files, checked{f.URL, f.Size, f.VerifiedBy})
	}
	out.checksums(files)
	writeListMembers(out, l)
	out.replaced(replacedIn(l))
	out.unverified(files, "")
	out.configured(l.Values)
	if len(l.MountOnly) > 0 {
		out.note("for %s, the image can be mounted, but cannot fill a volume: it has no program for that.", agent.JoinPlatforms(l.MountOnly))
	}
}

// identity says what a mirror is.
func (l *layout) identity(m mirror.Identity) {
	subject, what := form.SourceName(m.Target), forms.All.NameOf(m.Kind)
	if m.Target == "" {
		subject, what = "upstream", "what it offers"
	}
	if m.BotkubeVersion != "" {
		what += " of Botkube " + m.BotkubeVersion
	}
	if len(m.Platforms) > 0 {
		what += " for " + agent.JoinPlatforms(m.Platforms)
	}
	l.verdict(plain, subject, what)
}

func replacedIn(l *mirror.Listing) (all []lock.Replaced) {
	for _, p := range l.Plugins {
		all = append(all, lock.ReplacedIn([]lock.Plugin{p.Plugin})...)
	}
	return all
}

func writeListTable(out *layout, l *mirror.Listing) {
	var rows, templates [][]string
	fromNewest := false
	add := func(name, kind, version, platform string, f mirror.ListedFile) {
		rows = append(rows, []string{name, kind, version, platform, sizeOf(f), checksumFrom(f.VerifiedBy)})
	}
	for _, p := range l.Plugins {
		for _, b := range p.Builds {
			add(p.Repository+"/"+p.Name, string(p.Type), p.Version, b.Platform.String(), b.File)
			for _, d := range b.Dependencies {
				name := "  " + d.Name
				if d.FromNewest {
					name += " *"
					fromNewest = true
				}
				add(name, "dependency", "", b.Platform.String(), d.File)
			}
		}
		for _, t := range p.Templates {
			templates = append(templates, []string{p.Repository + "/" + p.Name, sizeOf(t.File), checksumFrom(t.File.VerifiedBy), t.Ref})
		}
	}
	out.table([]column{word("PLUGIN"), word("TYPE"), word("VERSION"), word("PLATFORM"), number("SIZE"), word("CHECKSUM FROM")}, rows)
	if fromNewest {
		out.text("* Only a newer version of the plugin lists it, but the agent looks for it all the same.")
	}
	out.table([]column{word("TEMPLATES OF"), number("SIZE"), word("CHECKSUM FROM"), word("SOURCE")}, templates)
}

func sizeOf(f mirror.ListedFile) string {
	if f.Size < 0 {
		return "unknown"
	}
	return size(f.Size)
}

// writeListMembers lists images and the chart.
func writeListMembers(out *layout, l *mirror.Listing) {
	var members, images [][]string
	for _, m := range []struct {
		what  string
		image *mirror.ListedImage
	}{{"agent image", l.AgentImage}, {"watcher image", l.WatcherImage}} {
		if m.image == nil {
			continue
		}
		members = append(members, []string{m.what, m.image.Reference, size(m.image.Size), ""})
		for _, p := range m.image.Platforms {
			images = append(images, []string{m.what, p.Platform.String(), size(p.Size), p.SHA256.OCI()})
		}
	}
	if c := l.Chart; c != nil {
		members = append(members, []string{"Helm chart", c.Name + " " + c.Version, sizeOf(c.File), checksumFrom(c.File.VerifiedBy)})
	}
	out.table([]column{word("ALSO"), word("NAME"), number("SIZE"), word("CHECKSUM FROM")}, members)
	out.table([]column{word("IMAGE"), word("PLATFORM"), number("SIZE"), word("DIGEST")}, images)
}
