package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

func verifyCommand(g *global) *cobra.Command {
	var net networkFlags
	var o mirror.VerifyOptions
	c := &cobra.Command{
		Use:   "verify TARGET",
		Short: "Check every byte of a mirror, and what an agent would do with it",
		Long: `Check every byte of a mirror against its lock, that nothing is missing, that an
agent would run nothing unexpected and takes the indexes, and that it would make
no call to the outside. Nothing is written, and only a registry needs a network.

TARGET is a directory that the agent starts from, a bundle (a file or a layout
directory), an image, a site or SITE/VERSION, docker://REFERENCE in a registry,
or - for a bundle on standard input.

With --against, what is there must also be what a lock from elsewhere pins: a
lock file, or another mirror. Against a bundle, every file of a directory is
made again of its upstream file and compared.

Its indexes must name the place where agents find it, if that is given:
--base-url for a site, --mount for a directory or an image. Without these, the
place that they name is believed, and printed.

With --values, an agent with these Helm values must find all that it starts in
the mirror, and make no call that a value would stop.

The exit code is 0 if all is well, 4 if something is damaged, unexpected or
differs, and 5 if something is only missing, set otherwise in the values, or not
among them though it decides what an agent starts.`,
		Example: `  botkube-mirror verify bundle.tar
  botkube-mirror verify /mnt/plugins --against plugins.lock.json
  botkube-mirror verify /mnt/plugins --values values.yaml --values offline.yaml
  botkube-mirror verify /srv/www --base-url https://mirror.example.com/botkube
  botkube-mirror verify docker://registry.example.com/mirror/botkube-plugins:v1.14.0 --format json`,
		Args: exactArgs("TARGET"),
		RunE: func(c *cobra.Command, args []string) error {
			o.Target, o.ToolVersion = args[0], programVersion(g.env.Version)
			n := net.sources(args[0], o.Against)
			if err := checkAllEnabled(o.AllEnabled, o.Values); err != nil {
				return err
			}
			n.store = inRegistry(o.Against) // blobs of a target in a registry are not kept
			found, err := inSession(c.Context(), g, n, func(s *mirror.Session) (*mirror.Verification, error) {
				return s.Verify(c.Context(), o)
			})
			if err != nil {
				return err
			}
			if err := g.print(found, func(out *layout) { out.raw(verifySummary(found, g.verbose)) }); err != nil {
				return err
			}
			return found.Failure()
		},
	}
	c.Flags().StringVar(&o.Against, "against", "", "`LOCK` that the mirror must be that of: a lock file, or another mirror")
	c.Flags().StringArrayVar(&o.Values, "values", nil, "values `FILE` of Botkube's Helm chart, a document of Flux or Argo CD that has them, or objects that the chart rendered: whether an agent with these would start from the mirror alone, and whom it would call; repeatable, later ones over earlier")
	allEnabledFlag(c.Flags(), &o.AllEnabled)
	c.Flags().StringVar(&o.BaseURL, "base-url", "", "`URL` at which a site is served, which its indexes must name; with --values, also that of what is in a bundle")
	c.Flags().BoolVar(&o.Served, "served", false, "it is botkube-mirror serve that answers at --base-url, so that what the indexes of a site name does not matter")
	c.Flags().StringVar(&o.Mount, "mount", "", "`PATH` at which the agent sees a directory or an image, which its indexes must name; with --values, also what is made of a bundle")
	c.Flags().StringVar(&o.Version, "version", "", "version of the chart that the values are for, where the mirror does not say")
	c.Flags().BoolVar(&o.Unpack, "unpack", false, "unpack the archives of a bundle as well, as a directory for the agent needs them; this takes longer")
	net.register(c)
	return c
}

func verifySummary(v *mirror.Verification, verbose bool) string {
	var out strings.Builder
	writeIdentity(&out, mirror.Identity{Target: v.Target, Kind: v.Kind, BotkubeVersion: v.BotkubeVersion, Platforms: v.Platforms, Digest: v.Digest})
	if v.Mount != "" {
		fmt.Fprintf(&out, "  the agent must see it at %s\n", tameName(v.Mount))
	}
	if v.BaseURL != "" {
		fmt.Fprintf(&out, "  it must be served at %s\n", tameName(v.BaseURL))
	}
	writeProblems(&out, v.Problems)
	writeFiles(&out, v, verbose)
	writeReplaced(&out, v.Replaced)
	writeAgents(&out, v.Agents)
	writeAgainst(&out, v)
	if v.Values != nil {
		writeLines(&out, v.Values.Lines())
	}
	for _, n := range v.Notes {
		fmt.Fprintf(&out, "note: %s\n", oneLine(n))
	}
	switch {
	case v.Intact && v.Unverified > 0:
		fmt.Fprintf(&out, "intact, but for %s of earlier versions that nobody looked at; prune removes them\n", count(v.Unverified, "file"))
	case v.Intact:
		out.WriteString("intact: nothing is damaged, missing or unexpected\n")
	}
	return out.String()
}

func writeProblems(out *strings.Builder, problems []audit.Problem) {
	for _, p := range problems {
		at := tameName(p.Path)
		if at != "" {
			at += ": "
		}
		fmt.Fprintf(out, "%-10s %s%s\n", strings.ToUpper(string(p.Kind)), at, oneLine(p.Detail))
	}
}

func writeFiles(out *strings.Builder, v *mirror.Verification, verbose bool) {
	intact := 0
	for _, f := range v.Files {
		if f.State == audit.Intact {
			intact++
		}
		if verbose {
			sum := "-"
			if f.SHA256 != nil {
				sum = f.SHA256.String()
			}
			fmt.Fprintf(out, "%s  %s (%s, %s, %s)\n", sum, tameName(f.Path), f.State, size(f.Size), tameName(f.Content))
		}
	}
	fmt.Fprintf(out, "%s read: %d of %s intact\n", size(v.Bytes), intact, count(len(v.Files), "file"))
	counts, counted := map[lock.ChecksumSource]int{}, map[string]bool{}
	for _, f := range v.Files {
		for _, a := range f.Sources {
			if key := string(a.VerifiedBy) + " " + a.URL; !counted[key] {
				counted[key] = true
				counts[a.VerifiedBy]++
			}
		}
	}
	if len(counts) > 0 {
		fmt.Fprintf(out, "checksums of upstream files given: %s\n", countsBySource(counts))
	}
}

func writeAgents(out *strings.Builder, agents []audit.Prediction) {
	for _, o := range agents {
		name := o.Platform.String()
		if o.Version != "" {
			name = o.Version + " for " + name
		}
		fmt.Fprintf(out, "an agent for %s, with every plugin enabled, would make %s", name, count(len(o.External), "external call"))
		if o.FromMirror > 0 {
			fmt.Fprintf(out, ", and %s to the mirror", count(o.FromMirror, "call"))
		}
		out.WriteString("\n")
		for _, c := range o.External {
			what := string(c.Kind)
			if c.Dependency != "" {
				what += " " + c.Dependency
			}
			fmt.Fprintf(out, "  %s: %s from %s, because %s\n", tameName(c.Plugin), tameName(what), tameName(c.URL), tameName(c.Because))
		}
		for _, f := range o.Failures {
			fmt.Fprintf(out, "  it would not start %s\n", oneLine(f))
		}
	}
}

func writeAgainst(out *strings.Builder, v *mirror.Verification) {
	a := v.Against
	if a == nil {
		return
	}
	writeNotCompared(out, a.NotCompared)
	if len(a.Differences) > 0 {
		return // which are among the problems
	}
	how := ""
	switch {
	case v.Altered():
		how = ", but not every file is what is unpacked of the upstream files there"
	case a.Remade && v.Intact:
		how = ", and every file is what is unpacked of the upstream files there"
	}
	fmt.Fprintf(out, "it is what %s pins%s\n", form.SourceName(a.Target), how)
}
