package cmd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

func outdatedCommand(g *global) *cobra.Command {
	var net networkFlags
	var o mirror.OutdatedOptions
	var repositories, headers []string
	var exitCode bool
	c := &cobra.Command{
		Use:   "outdated [LOCK | TARGET]",
		Short: "Show what upstream has that is newer",
		Long: `Compare a lock or a mirror with upstream. TARGET is any mirror that list can
show. The default is ` + defaultLock + `.

outdated shows a newer Botkube release, newer versions of plugins, and files
that changed upstream although their version did not. The last is an alarm.

It reads indexes, checksum files, templates, image manifests and the chart. It
downloads no plugin and no dependency.`,
		Example: `  botkube-mirror outdated botkube-mirror.lock.json
  botkube-mirror outdated bundle.tar --exit-code --format json`,
		Args: maxArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			target := defaultLock
			if len(args) > 0 {
				target = args[0]
			}
			if o.Repositories, err = parseRepositories(repositories); err != nil {
				return err
			}
			if o.Headers, err = g.headers(headers); err != nil {
				return err
			}
			found, err := inSession(c.Context(), g, net.upstream(), func(s *mirror.Session) (*mirror.Outdated, error) {
				return s.Outdated(c.Context(), target, o)
			})
			if err != nil {
				return err
			}
			if err := g.print(found, func(out *layout) { outdatedSummary(out, found, g.givenForNetwork()) }); err != nil {
				return err
			}
			if err := found.Failure(); err != nil || !exitCode || !found.Outdated {
				return err
			}
			return fault.New(fault.Differs, "%s is outdated", form.SourceName(target))
		},
	}
	c.Flags().StringVar(&o.Release, "release", mirror.Newest, "`VERSION` Compare with this Botkube release. Write it like v1.15.0. The mirror's own version turns the search for a newer one off.")
	c.Flags().StringArrayVar(&repositories, "repository", nil, "`NAME=URL` Read the index of this repository here. The URL may have a user and password, which a mirror does not keep.")
	headerFlag(c.Flags(), &headers)
	group(c.Flags(), "What to compare with")
	exitCodeFlag(c, &exitCode)
	net.register(c)
	return c
}

// givenForNetwork returns the flags on the command line that upstream may need, without their values,
// which may be secret.
func (g *global) givenForNetwork() (flags []string) {
	if slices.ContainsFunc(g.env.Args, func(arg string) bool { return arg == "-f" || arg == "--file" || strings.HasPrefix(arg, "--file=") }) {
		flags = append(flags, "--file")
	}
	for _, flag := range []string{"--via", "--header", "--ca-file", "--client-cert", "--client-key", "--insecure-skip-verify", "--plain-http"} {
		if slices.ContainsFunc(g.env.Args, func(arg string) bool { return arg == flag || strings.HasPrefix(arg, flag+"=") }) {
			flags = append(flags, flag)
		}
	}
	return flags
}

// outdatedSummary has the verdict first, then what is the most urgent. The flags are those that the
// commands it names need, too.
func outdatedSummary(out *layout, o *mirror.Outdated, flags []string) {
	writeOutdatedVerdict(out, o)
	writeDifferences(out, "Replaced in place:", o.Replaced)
	writeNewer(out, o)
	writeDifferences(out, "Other changes:", o.Changed)
	writeUncompared(out, o)
	if len(o.Failed) > 0 {
		out.title("Not compared, because of the errors below:")
		for _, f := range o.Failed {
			out.item("%s", f.About)
		}
	}
	if len(o.NextLeavesOut) > 0 {
		out.title("The new lock will not have these replacements (--dependency):")
		for _, text := range o.NextLeavesOut {
			out.item("%s", text)
		}
	}
	if len(o.Next) == 0 {
		return
	}
	what := "renew the lock"
	if len(o.Replaced) > 0 {
		what = "ask the publisher first, then renew the lock"
	}
	if len(flags) > 0 {
		what += ", with the flags that you gave here: " + strings.Join(flags, ", ")
	}
	out.next(what, o.Next...)
}

func writeOutdatedVerdict(out *layout, o *mirror.Outdated) {
	var found []string
	if o.Release != nil && o.Release.Newer {
		found = append(found, "Botkube "+o.Release.Version)
	}
	newer, moved, gone := 0, 0, 0
	for _, p := range o.Plugins {
		switch {
		case p.Newest != "":
			newer++
		case len(p.Elsewhere) > 0:
			moved++
		default:
			gone++
		}
	}
	if newer > 0 {
		found = append(found, count(newer, "newer plugin"))
	}
	if moved > 0 {
		found = append(found, plural(moved, "plugin moved", "plugins moved"))
	}
	if gone > 0 {
		found = append(found, plural(gone, "plugin is gone", "plugins are gone"))
	}
	if n := len(o.Changed); n > 0 {
		found = append(found, count(n, "other change"))
	}
	name := form.SourceName(o.Target)
	if n := len(o.Replaced); n > 0 {
		out.verdict(bad, "ALARM", fmt.Sprintf("upstream changed %s that must not change", count(n, "thing")))
		out.item("Ask the publisher before you use the new content.")
	}
	switch {
	case len(found) > 0:
		out.verdict(caution, name, "outdated", found...)
	case len(o.Replaced) > 0:
		out.verdict(plain, name, "nothing newer was found")
	case len(o.Failed) > 0:
		out.verdict(caution, name, "nothing newer was found", "but the comparison is incomplete")
	default:
		with := ""
		if o.Release != nil {
			with = "with Botkube " + o.BotkubeVersion
		}
		out.verdict(good, name, "up to date", with)
	}
}

// writeUncompared says how many files have no checksum to compare. It lists them if there is
// something to update to.
func writeUncompared(out *layout, o *mirror.Outdated) {
	if len(o.NotCompared) == 0 {
		return
	}
	text := fmt.Sprintf("%d of %s not compared: upstream gives no checksum", len(o.NotCompared), count(o.Files, "file"))
	if !o.Outdated {
		out.note("%s", text)
		return
	}
	out.title("%s", text)
	for _, f := range o.NotCompared {
		out.item("%s", f.URL)
		if f.Reason != mirror.NoChecksum {
			out.item("  %s", oneLine(f.Reason))
		}
	}
	out.last = textBlock
}

func writeDifferences(out *layout, title string, all []mirror.UpstreamChange) {
	if len(all) == 0 {
		return
	}
	out.title("%s", title)
	for _, d := range all {
		out.item("%s %s", changeSigns[d.Change], d.What())
		if how, found := strings.CutPrefix(d.String(), d.What()+": "); found {
			if from, to, changed := strings.Cut(how, " -> "); changed && columnsOf(how)+len("      ") > out.width {
				out.item("    %s", from)
				how = "-> " + to
			}
			out.item("    %s", how)
		} else if d.Change == lock.Removed && d.Subject == lock.SubjectPlugin {
			out.item("    upstream's index no longer has this version")
		}
		if len(d.Plugins) > 0 {
			out.item("    needed by %s", strings.Join(d.Plugins, ", "))
		}
	}
	out.last = textBlock
}

// writeNewer lists the newer release, and plugins that have a newer version or are gone.
func writeNewer(out *layout, o *mirror.Outdated) {
	var rows [][]string
	if o.Release != nil && o.Release.Newer {
		rows = append(rows, []string{"Botkube", "", o.BotkubeVersion, o.Release.Version, ""})
	}
	for _, p := range o.Plugins {
		in, newest := "its repository", p.Newest
		if p.Release != "" {
			in = "Botkube " + p.Release
		}
		if newest == "" {
			newest = "gone"
			if len(p.Elsewhere) > 0 {
				newest = "moved"
			}
		}
		rows = append(rows, []string{agent.PluginKey{Repository: p.Repository, Name: p.Name}.String(), string(p.Type), strings.Join(p.Versions, ", "), newest, in})
	}
	out.table([]column{word("NEWER"), word("TYPE"), word("HERE"), word("NEWEST"), word("IN")}, rows)
	for _, p := range o.Plugins {
		for _, at := range p.Elsewhere {
			out.note("%s moved to %s", agent.PluginKey{Repository: p.Repository, Name: p.Name}, at)
		}
	}
}
