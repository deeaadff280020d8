package cmd

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
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
			if err := g.print(found, func(out *layout) { out.raw(outdatedSummary(found, g.givenForNetwork())) }); err != nil {
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
	for _, flag := range []string{"--via", "--header", "--ca-file", "--client-cert", "--client-key", "--insecure-skip-verify", "--plain-http"} {
		if slices.ContainsFunc(g.env.Args, func(arg string) bool { return arg == flag || strings.HasPrefix(arg, flag+"=") }) {
			flags = append(flags, flag)
		}
	}
	return flags
}

// outdatedSummary has the verdict first, then what is the most urgent. The flags are those that the
// commands it names need, too.
func outdatedSummary(o *mirror.Outdated, flags []string) string {
	var out strings.Builder
	writeVerdict(&out, o)
	writeDifferences(&out, "Replaced in place", o.Replaced)
	if o.Release != nil && o.Release.Newer {
		fmt.Fprintf(&out, "\nNewer release\n  Botkube %s -> %s\n", o.BotkubeVersion, o.Release.Version)
	}
	writeNewerPlugins(&out, o.Plugins)
	writeDifferences(&out, "Other changes", o.Changed)
	if o.Outdated {
		writeUncompared(&out, o)
	}
	writeFailed(&out, o.Failed)
	if len(o.Next) > 0 {
		out.WriteString("\nNext")
		if len(o.Replaced) > 0 {
			out.WriteString(" (ask the publisher first)")
		}
		out.WriteString("\n")
		for _, command := range o.Next {
			fmt.Fprintf(&out, "  %s\n", tameName(command))
		}
		if len(flags) > 0 {
			fmt.Fprintf(&out, "Add to lock and pull the flags that you gave here: %s\n", strings.Join(flags, ", "))
		}
	}
	if len(o.NextLeavesOut) > 0 {
		out.WriteString("\nReplacements (--dependency) that the new lock will not have\n")
		for _, text := range o.NextLeavesOut {
			fmt.Fprintf(&out, "  %s\n", tameName(text))
		}
	}
	return out.String()
}

func writeVerdict(out *strings.Builder, o *mirror.Outdated) {
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
	if n := len(o.Replaced); n > 0 {
		fmt.Fprintf(out, "ALARM: upstream changed %s that must not change.\nAsk the publisher before you use the new content.\n", count(n, "thing"))
	}
	name := tameName(form.SourceName(o.Target))
	switch {
	case len(found) > 0:
		fmt.Fprintf(out, "%s is outdated: %s\n", name, strings.Join(found, ", "))
	case len(o.Replaced) > 0:
		fmt.Fprintf(out, "%s: nothing newer was found\n", name)
	case len(o.Failed) > 0:
		fmt.Fprintf(out, "%s: nothing newer was found, but the comparison is incomplete\n", name)
	default:
		with := ""
		if o.Release != nil {
			with = " with Botkube " + o.BotkubeVersion
		}
		fmt.Fprintf(out, "%s is up to date%s%s\n", name, with, notComparedFiles("; ", o))
	}
}

func notComparedFiles(before string, o *mirror.Outdated) string {
	if len(o.NotCompared) == 0 {
		return ""
	}
	return fmt.Sprintf("%s%d of %s not compared: upstream gives no checksum", before, len(o.NotCompared), count(o.Files, "file"))
}

func writeUncompared(out *strings.Builder, o *mirror.Outdated) {
	if len(o.NotCompared) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s\n", notComparedFiles("", o))
	for _, f := range o.NotCompared {
		fmt.Fprintf(out, "  %s\n", tameName(f.URL))
		if f.Reason != mirror.NoChecksum {
			fmt.Fprintf(out, "    %s\n", oneLine(f.Reason))
		}
	}
}

func writeFailed(out *strings.Builder, all []mirror.FailedQuestion) {
	if len(all) == 0 {
		return
	}
	out.WriteString("\nNot compared (the error says why)\n")
	for _, f := range all {
		fmt.Fprintf(out, "  %s\n", tameName(f.About))
	}
}

func writeDifferences(out *strings.Builder, heading string, all []mirror.UpstreamChange) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s\n", heading)
	for _, d := range all {
		fmt.Fprintf(out, "%s %s\n", changeSigns[d.Change], tameName(d.What()))
		if how, found := strings.CutPrefix(d.String(), d.What()+": "); found {
			how = tameName(how)
			if len(how) > 76 {
				how = strings.Replace(how, " -> ", "\n    -> ", 1)
			}
			fmt.Fprintf(out, "    %s\n", how)
		}
		if len(d.Plugins) > 0 {
			fmt.Fprintf(out, "    needed by %s\n", tameName(strings.Join(d.Plugins, ", ")))
		}
	}
}

func writeNewerPlugins(out *strings.Builder, all []mirror.NewerPlugin) {
	if len(all) == 0 {
		return
	}
	heading := "Newer plugins"
	if slices.ContainsFunc(all, func(p mirror.NewerPlugin) bool { return p.Newest == "" }) {
		heading = "Plugins"
	}
	fmt.Fprintf(out, "\n%s\n", heading)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  PLUGIN\tTYPE\tHERE\tNEWEST\tIN")
	for _, p := range all {
		in, newest := "its repository", p.Newest
		if p.Release != "" {
			in = "Botkube " + p.Release
		}
		if newest == "" {
			newest = "gone"
			for _, at := range p.Elsewhere {
				newest = "now " + at.String()
			}
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", tameName(agent.PluginKey{Repository: p.Repository, Name: p.Name}.String()), p.Type, tameName(strings.Join(p.Versions, ", ")), tameName(newest), in)
	}
	w.Flush()
}
