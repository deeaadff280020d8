package cmd

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/image"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
	"github.com/botkube-mirror/botkube-mirror/internal/push"
)

func pushCommand(g *global) *cobra.Command {
	var sub subsetFlags
	var img imageFlags
	var net networkFlags
	var source registryFlags
	var skip, tags []string
	var o mirror.PushOptions
	c := &cobra.Command{
		Use:   "push BUNDLE REGISTRY/PREFIX",
		Short: "Publish the content of a bundle in a registry",
		Long: `Publish what a bundle holds below REGISTRY/PREFIX. The tag is the Botkube version,
or that of --tag. BUNDLE is a file, a directory, docker://REFERENCE in a
registry, or - for standard input. Content that the registry has is not sent.

push writes these repositories:

  PREFIX/botkube-plugins         an image to mount, or to fill a volume from
  PREFIX/botkube-plugins-bundle  the bundle itself, for unpack docker://…
  PREFIX/botkube                 the agent's image, if the bundle has it
  PREFIX/charts/botkube          the Helm chart, if the bundle has it; see
                                 --chart-path

--tag applies to the first two. The agent's image keeps its own tag. The chart
is tagged with its version, with and without v, because Helm asks for the one
that you type.

Credentials come from docker login. If BUNDLE is in a registry, signatures and
other referrers are copied too.`,
		Example: `  botkube-mirror push bundle.tar registry.example.com/mirror

  # with the company's certificate authority, and without the image to mount
  botkube-mirror push bundle.tar registry.example.com/mirror \
    --ca-file ca.pem --skip image

  # with tags of your own
  botkube-mirror push bundle.tar registry.example.com/mirror \
    --tag v1.14.0-team-a,team-a

  # from one registry to another
  botkube-mirror push \
    docker://registry.example.com/mirror/botkube-plugins-bundle:v1.14.0 \
    other.example.com/mirror`,
		Args: exactArgs("BUNDLE", "REGISTRY/PREFIX"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			o.Source, o.Prefix, o.Image.Mount = args[0], args[1], img.mount
			o.Tags = commaSeparated(tags)
			if o.Selection, err = sub.options(); err != nil {
				return err
			}
			if o.Skip, err = parts(skip); err != nil {
				return err
			}
			if o.Image.Seeders, err = img.seederOptions(); err != nil {
				return err
			}
			if o.Image.ModTime, err = g.modTime(); err != nil {
				return err
			}
			n := net.sources(args[0])
			if n.registry != nil {
				n.source = &source
			}
			n.registry = &net.registry
			pushed, err := inSession(c.Context(), g, n, func(s *mirror.Session) (*push.Result, error) { return s.Push(c.Context(), o) })
			if pushed == nil {
				return err
			}
			// A dry run has a result even if there is an error.
			return cmp.Or(g.print(pushed, func(out *layout) { out.raw(pushSummary(pushed, o)) }), err)
		},
	}
	sub.register(c)
	flags := c.Flags()
	flags.StringArrayVar(&skip, "skip", nil, "`PART` Leave out this part. Parts are image, bundle, agent-image, watcher-image, chart and referrers. Commas may separate several.")
	group(flags, "What to take")
	flags.StringArrayVar(&tags, "tag", nil, "`TAG` Tag the image and the bundle with this. Commas may separate several. (default: the Botkube version)")
	flags.StringVar(&o.ChartPath, "chart-path", push.DefaultChartPath, "`PATH` Put the Helm chart here, below PREFIX. Give botkube-chart if the registry allows names of two levels only.")
	img.register(c)
	group(flags, writeGroup)
	flags.BoolVar(&o.DryRun, "dry-run", false, "Print what would be sent and which tags would change. Nothing is sent.")
	flags.BoolVar(&o.Force, "force", false, "Replace tags that have other content. Where the content is the same, send again what the registry has lost.")
	group(flags, runFlags)
	net.register(c)
	source.registerSource(c)
	return c
}

func parts(names []string) ([]push.Part, error) {
	var all []push.Part
	for _, name := range commaSeparated(names) {
		part := push.Part(name)
		if !slices.Contains(push.Skippable, part) {
			return nil, notOneOf("skip", strings.Split(partNames(","), ","), name)
		}
		all = append(all, part)
	}
	return all, nil
}

func partNames(separator string) string {
	var names []string
	for _, p := range push.Skippable {
		names = append(names, string(p))
	}
	return strings.Join(names, separator)
}

func pushSummary(r *push.Result, o mirror.PushOptions) string {
	var out strings.Builder
	parts := map[push.Part]push.PartResult{}
	for _, p := range r.Parts {
		parts[p.Part] = p
		writePushed(&out, p, r.DryRun)
	}
	for _, part := range r.Absent {
		fmt.Fprintf(&out, "the bundle has no %s: pull it with --with-%s\n", strings.ReplaceAll(string(part), "-", " "), part)
	}
	if r.DryRun {
		out.WriteString("nothing was sent or changed: this was a dry run\n")
		return out.String()
	}
	writeMounting(&out, parts, o)
	// Helm takes the version of a chart, whose + is _ in the tag.
	if chart, ok := parts[push.Chart]; ok {
		i := strings.LastIndex(chart.Reference, ":")
		fmt.Fprintf(&out, "next: install the chart with them: helm upgrade --install botkube oci://%s --version %s --values YOURS.yaml --values MIRROR.yaml\n",
			chart.Reference[:i], strings.ReplaceAll(chart.Reference[i+1:], "_", "+"))
	}
	return out.String()
}

// writePushed writes what was done for a part, or would be.
func writePushed(out *strings.Builder, p push.PartResult, dryRun bool) {
	reference := p.Reference
	if p.Digest != "" {
		reference += "@" + p.Digest
	}
	state := fmt.Sprintf("%s, %s uploaded", size(p.Size), size(p.UploadedBytes))
	switch {
	case p.Unknown != "":
		state = "what would be sent is not known: " + p.Unknown
	case dryRun && p.ToSend == nil:
		state = "refused"
	case dryRun:
		state = fmt.Sprintf("to send: %s, %s; there: %s, %s",
			count(p.ToSend.Blobs, "blob"), size(p.ToSend.Bytes), count(p.There.Blobs, "blob"), size(p.There.Bytes))
	case !p.Changed && p.UploadedBytes == 0:
		state = size(p.Size) + ", was there"
	}
	fmt.Fprintf(out, "%s (%s)\n", reference, state)
	for i, t := range p.Tags {
		switch {
		case !dryRun && i > 0:
			fmt.Fprintf(out, "  also tagged %s\n", t.Tag)
		case !dryRun || p.ToSend == nil && p.Unknown == "":
		case t.There == "":
			fmt.Fprintf(out, "  tag %s is new\n", t.Tag)
		case t.There == p.Digest:
			fmt.Fprintf(out, "  tag %s is there\n", t.Tag)
		case t.Changed && p.Problem == "":
			fmt.Fprintf(out, "  tag %s is there, as %s, and would be replaced\n", t.Tag, t.There)
		default:
			fmt.Fprintf(out, "  tag %s is there, as %s\n", t.Tag, t.There)
		}
	}
	if p.OwnIndex {
		out.WriteString("  the digest is not upstream's: the bundle has a part of that image; pull --whole-image keeps it\n")
	}
	writeReferrers(out, p, dryRun)
	if p.Problem != "" {
		fmt.Fprintf(out, "  in the way: %s\n", oneLine(p.Problem))
	}
	out.WriteString(image.MountOnlyNote(p.MountOnly))
}

// writeReferrers lists signatures and whatever else refers to a part.
func writeReferrers(out *strings.Builder, p push.PartResult, dryRun bool) {
	for _, r := range p.Referrers {
		name, state := r.Digest, "was there"
		if r.Tag != "" {
			name = r.Tag + "@" + r.Digest
		}
		switch {
		case r.NotCopied != "":
			state = "not copied: " + r.NotCopied
		case r.Changed && dryRun:
			state = size(r.Size) + " to send"
		case r.Changed:
			state = size(r.Size) + " sent"
		}
		fmt.Fprintf(out, "  referrer %s, %s (%s)\n", oneLine(name), oneLine(cmp.Or(r.Type, "of unknown type")), oneLine(state))
	}
	if p.ReferrersUnknown != "" {
		fmt.Fprintf(out, "  signatures and other referrers were not looked for: %s\n", oneLine(p.ReferrersUnknown))
	}
}

func writeMounting(out *strings.Builder, parts map[push.Part]push.PartResult, o mirror.PushOptions) {
	pushed, ok := parts[push.Image]
	if !ok {
		return
	}
	// A node that has pulled a tag does not notice that the tag was moved.
	image := pushed.Reference + "@" + pushed.Digest
	target := o.Source
	switch bundle, ok := parts[push.Bundle]; {
	case target == "-":
		target = form.RegistryPrefix + image // standard input cannot be read again
	case ok && inRegistry(target):
		target = form.RegistryPrefix + bundle.Reference // the other registry may be behind the gap
	}
	command := "botkube-mirror values " + target + " --image " + image
	if o.Image.Mount != defaultMount {
		command += " --mount " + o.Image.Mount
	}
	if _, ok := parts[push.AgentImage]; ok {
		command += " --registry " + o.Prefix
	}
	fmt.Fprintf(out, "next: print the Helm values to mount it: %s --values YOURS.yaml\n  or to fill a volume from it: --seed-from in the place of --image\n", command)
}
