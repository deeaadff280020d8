package cmd

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

func pullCommand(g *global) *cobra.Command {
	var sel selectionFlags
	var write writeFlags
	var net networkFlags
	var o mirror.PullOptions
	c := &cobra.Command{
		Use:   "pull --version VERSION --output TARGET",
		Short: "Download plugins, check them, and write a mirror",
		Long: `Download plugins and everything they need, check every file, and write a mirror.
A mirror is a directory for the agent, a bundle to carry over the gap, an image
to mount, or a site for a web server. One download can be written in several
forms.

Without a choice, all plugins of the repositories are mirrored. Choose some with
--plugin, or those that an agent with your Helm values starts with --values.
The result lists what the values leave out, and why.

pull first checks that the disks have room for the downloads and the outputs;
--dry-run prints how much they need. It ends at the first download that fails,
unless you give --keep-going.`,
		Example: `  # a bundle with everything for Botkube v1.14.0
  botkube-mirror pull --version v1.14.0 -o bundle.tar

  # what your agent starts, with its image and its Helm chart
  botkube-mirror pull --version v1.14.0 --values values.yaml \
    --platform linux/amd64,linux/arm64 --with-agent-image --with-chart \
    -o bundle.tar

  # two plugins, in a directory for the agent
  botkube-mirror pull --version v1.14.0 --platform linux/arm64 \
    --plugin botkube/kubectl,botkubeExtra/helm -o ./plugins

  # a newer kubectl than the one that the plugin names
  botkube-mirror pull --version v1.14.0 -o bundle.tar --dependency \
    'botkube/kubectl:kubectl=https://dl.k8s.io/v1.34.1/bin/{os}/{arch}/kubectl'

  # a site for a web server
  botkube-mirror pull --version v1.14.0 -o site:/srv/www \
    --base-url https://mirror.example.com/botkube

  # a repository of your own
  botkube-mirror pull -o ./plugins \
    --repository acme=https://plugins.example.com/plugins-index.yaml`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if o.Selection, err = sel.selection(g); err != nil {
				return err
			}
			if o.WriteOptions, err = write.options(g); err != nil {
				return err
			}
			result, err := inSession(c.Context(), g, net.upstream(), func(s *mirror.Session) (*mirror.Result, error) {
				return s.Pull(c.Context(), o)
			})
			if _, incomplete := errors.AsType[*mirror.Incomplete](err); err != nil && !(incomplete && (o.DryRun || g.format == "json")) {
				return err
			}
			return errors.Join(err, g.printTo(g.resultTo(o.Outputs), result, func(out *layout) { out.raw(pullSummary(result)) }))
		},
	}
	sel.register(c, false)
	write.register(c)
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "Print what would be downloaded and how much disk that needs. Plugins and dependencies are not downloaded.")
	keepGoingFlag(c, &o.KeepGoing)
	net.register(c)
	net.transfer.registerMaxSize(c)
	return c
}

func keepGoingFlag(c *cobra.Command, keepGoing *bool) {
	c.Flags().BoolVar(keepGoing, "keep-going", false,
		"Go on after a failed download. The command then lists all failures, writes nothing, and exits with 5.")
	group(c.Flags(), runFlags)
}

func pullSummary(r *mirror.Result) string {
	var out strings.Builder
	if r.DryRun {
		writePlan(&out, r)
	}
	writeConfigured(&out, r.Values)
	fmt.Fprintf(&out, "%s, %s for %s\n", count(len(r.Plugins), "plugin"), plural(r.Dependencies(), "dependency", "dependencies"), agent.JoinPlatforms(r.Platforms))
	if r.DryRun {
		writeDemand(&out, r)
	} else {
		fmt.Fprintf(&out, "%s: %s downloaded, %s reused\n", count(len(r.Artifacts), "file"), size(r.FetchedBytes), size(r.ReusedBytes))
	}
	writeChecksums(&out, r.Artifacts, func(a mirror.ArtifactResult) (string, lock.ChecksumSource) { return a.URL, a.VerifiedBy })
	writeReplaced(&out, lock.ReplacedIn(r.Plugins))
	writeMembers(&out, r.AgentImage, r.WatcherImage, r.Chart)
	if len(r.NotSelected) > 0 {
		fmt.Fprintf(&out, "some of it is also offered for %s: add --platform OS/ARCH\n", agent.JoinPlatforms(r.NotSelected))
	}
	for _, t := range r.LocalTemplates {
		fmt.Fprintf(&out, "templates %s of %s are in the agent's container, and not mirrored\n", t.Ref, t.Plugin)
	}
	for _, u := range r.Unfit {
		fmt.Fprintf(&out, "note: %s: %s: %s\n", oneLine(u.Subject()), oneLine(u.Detail()), oneLine(u.Remedy()))
	}
	for _, o := range r.Outputs {
		if !r.DryRun {
			writeState(&out, o)
			out.WriteString(o.Next(r.Platforms, r.Mount))
		}
	}
	return out.String()
}

func writePlan(out *strings.Builder, r *mirror.Result) {
	from := maps.Clone(r.From)
	for _, a := range r.Artifacts {
		note := ""
		switch a.Status {
		case mirror.StatusReused:
			note = ", in the store"
		case mirror.StatusFailed:
			note = ", cannot be had"
		}
		fmt.Fprintf(out, "%s (%s, checksum by %s%s)\n", a.URL, size(a.Size), a.VerifiedBy.What(), note)
		if from[a.URL] != "" {
			fmt.Fprintf(out, "  from %s\n", from[a.URL])
			delete(from, a.URL)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(from)) { // indexes, images and the chart
		fmt.Fprintf(out, "%s\n  from %s\n", what, from[what])
	}
}

func writeDemand(out *strings.Builder, r *mirror.Result) {
	var missing, present int64
	unknown := 0
	for _, a := range r.Artifacts {
		switch {
		case a.Size < 0:
			unknown++
		case a.Status == mirror.StatusReused:
			present += a.Size
		default:
			missing += a.Size
		}
	}
	fmt.Fprintf(out, "%s: %s to download, %s in the store", count(len(r.Artifacts), "file"), size(missing), size(present))
	if unknown > 0 {
		fmt.Fprintf(out, ", %d of unknown size", unknown)
	}
	if r.MemberBytes > 0 {
		what := "the agent image"
		if r.WatcherImage != nil {
			what += " and the watcher image"
		}
		fmt.Fprintf(out, "; %s of %s to download", size(r.MemberBytes), what)
	}
	out.WriteString("\n")
	for _, u := range r.Disk {
		free := "free space unknown"
		if u.Free >= 0 {
			free = size(u.Free) + " free"
		}
		if u.Short() {
			free += ", which is too little"
		}
		fmt.Fprintf(out, "disk: %s needed, %s\n", atLeast(u.Needed, u.AtLeast), free)
		for _, n := range u.For {
			fmt.Fprintf(out, "  %s for %s\n", atLeast(n.Needed, n.AtLeast), n)
		}
	}
}

func atLeast(bytes int64, open bool) string {
	if open {
		return "at least " + size(bytes)
	}
	return size(bytes)
}
