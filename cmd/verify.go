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
		Short: "Check every file of a mirror, and that the agent stays offline",
		Long: `Check every file of a mirror against its lock. verify reports files that are
damaged, missing or unexpected, and indexes that would make an agent call
outside. It writes nothing, and only a registry needs a network.

TARGET is a directory for an agent, a bundle (a file or a directory), an image,
a site or one version of it (SITE/VERSION), docker://REFERENCE in a registry, or
- for a bundle on standard input.

With --values, verify also checks two things for an agent with these Helm
values. The mirror must have everything that the agent starts. And the agent
must not call anything outside that a value can turn off.

--against compares the mirror with a lock that came another way. If you give a
bundle instead, its archives are unpacked again to compare every file.

Indexes name the place where agents find the files. Give --base-url for a site,
or --mount for a directory or an image, to check that place. Otherwise verify
prints it.`,
		Example: `  botkube-mirror verify bundle.tar

  # the agent's volume, with your Helm values
  botkube-mirror verify /mnt/plugins --values values.yaml --values mirror.yaml

  # a lock that came another way
  botkube-mirror verify /mnt/plugins --against plugins.lock.json

  # a site, and a registry
  botkube-mirror verify /srv/www --base-url https://mirror.example.com/botkube
  botkube-mirror verify --format json \
    docker://registry.example.com/mirror/botkube-plugins:v1.14.0`,
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
	flags := c.Flags()
	flags.StringVar(&o.Against, "against", "", "`LOCK` Compare the mirror with this lock file, or with another mirror")
	flags.StringArrayVar(&o.Values, "values", nil, "`FILE` Check that an agent with these Helm values stays offline. FILE has values of Botkube's chart, a Flux or Argo CD document with such values, or objects that the chart rendered. Later files win over earlier ones.")
	allEnabledFlag(flags, &o.AllEnabled)
	flags.StringVar(&o.Version, "version", "", "`VERSION` Chart version of the values, if the mirror does not have it")
	flags.BoolVar(&o.Unpack, "unpack", false, "Also unpack the archives of a bundle, as an agent needs them. This takes longer.")
	group(flags, "What to check")
	flags.StringVar(&o.BaseURL, "base-url", "", "`URL` Check that the indexes of a site name this URL. For a bundle with --values, it is where its files will be served.")
	flags.BoolVar(&o.Served, "served", false, "Do not check the URLs in the indexes of a site. botkube-mirror serve writes its own ones.")
	flags.StringVar(&o.Mount, "mount", "", "`PATH` Check that the indexes of a directory or an image name this path. For a bundle with --values, it is where the agent will see its files.")
	group(flags, "Where agents find the files")
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
