package cmd

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
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
			return cmp.Or(g.print(pushed, func(out *layout) { pushSummary(out, pushed, o) }), err)
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

func pushSummary(out *layout, r *push.Result, o mirror.PushOptions) {
	parts := map[push.Part]push.PartResult{}
	for _, p := range r.Parts {
		parts[p.Part] = p
	}
	writePushVerdict(out, r, o.Prefix)
	if r.DryRun {
		writePushPlan(out, r)
	} else {
		writePushed(out, r)
	}
	writeReferrers(out, r)
	for _, p := range r.Parts {
		if p.Problem != "" {
			out.note("in the way of %s: %s", p.Reference, p.Problem)
		}
		if p.Unknown != "" {
			out.note("what would be sent for %s is unknown: %s", p.Reference, p.Unknown)
		}
		if p.OwnIndex {
			out.note("%s has another digest than upstream: only some of its platforms are in the bundle. pull --whole-image keeps upstream's digest.", p.Reference)
		}
		if p.ReferrersUnknown != "" {
			out.warning("signatures and other referrers of %s were not copied: %s", p.Reference, p.ReferrersUnknown)
		}
		if note := image.MountOnlyNote(p.MountOnly); note != "" {
			out.note("%s", note)
		}
	}
	for _, part := range r.Absent {
		out.note("the bundle has no %s. To add it, pull with --with-%s.", partName(part), part)
	}
	if !r.DryRun {
		writeMounting(out, parts, o)
	}
}

// partName is what people call a part.
func partName(p push.Part) string { return strings.ReplaceAll(string(p), "-", " ") }

func writePushVerdict(out *layout, r *push.Result, prefix string) {
	var send, there int64
	changed, problems, unknown := false, 0, false
	for _, p := range r.Parts {
		changed = changed || p.Changed || p.UploadedBytes > 0
		unknown = unknown || p.Unknown != ""
		if p.Problem != "" {
			problems++
		}
		if p.ToSend != nil {
			send += p.ToSend.Bytes
			there += p.There.Bytes
		}
	}
	has := count(len(r.Parts), "part")
	switch {
	case problems > 0:
		out.verdict(bad, prefix, "refused", count(problems, "part")+" in the way")
	case r.DryRun:
		out.verdict(plain, prefix, "dry run", atLeast(send, unknown)+" to send", size(there)+" there already")
	case changed:
		out.verdict(good, prefix, "published", has, size(r.UploadedBytes)+" uploaded")
	default:
		out.verdict(good, prefix, "already published", has, "nothing uploaded")
	}
}

func referenceOf(p push.PartResult) string {
	if p.Digest != "" {
		return p.Reference + "@" + p.Digest
	}
	return p.Reference
}

// writePushed says what was done for each part.
func writePushed(out *layout, r *push.Result) {
	var rows [][]string
	for _, p := range r.Parts {
		uploaded := "was there"
		if p.Changed || p.UploadedBytes > 0 {
			uploaded = size(p.UploadedBytes)
		}
		var tags []string
		for _, t := range p.Tags {
			tags = append(tags, t.Tag)
		}
		if len(tags) == 1 { // which the reference has
			tags = nil
		}
		rows = append(rows, []string{partName(p.Part), size(p.Size), uploaded, strings.Join(tags, ", "), referenceOf(p)})
	}
	out.table([]column{word("PART"), number("SIZE"), number("UPLOADED"), word("TAGS"), word("REFERENCE")}, rows)
}

// writePushPlan says what would be done for each part.
func writePushPlan(out *layout, r *push.Result) {
	var rows, tags [][]string
	for _, p := range r.Parts {
		send, there := "unknown", "unknown"
		switch {
		case p.ToSend != nil:
			send, there = amount(*p.ToSend), amount(*p.There)
		case p.Unknown == "":
			send, there = "refused", ""
		}
		rows = append(rows, []string{partName(p.Part), send, there, referenceOf(p)})
		for _, t := range p.Tags {
			if p.ToSend == nil && p.Unknown == "" {
				continue
			}
			state, other := "new", ""
			switch {
			case t.There == "":
			case t.There == p.Digest:
				state = "unchanged"
			case t.Changed && p.Problem == "":
				state, other = "would be replaced", t.There
			default:
				state, other = "has other content", t.There
			}
			tags = append(tags, []string{partName(p.Part), t.Tag, state, other})
		}
	}
	out.table([]column{word("PART"), word("TO SEND"), word("THERE ALREADY"), word("REFERENCE")}, rows)
	out.table([]column{word("PART"), word("TAG"), word("STATE"), word("DIGEST THERE")}, tags)
}

func amount(a push.Amount) string {
	return fmt.Sprintf("%s, %s", count(a.Blobs, "blob"), size(a.Bytes))
}

// writeReferrers lists signatures and whatever else refers to parts.
func writeReferrers(out *layout, r *push.Result) {
	var rows [][]string
	for _, p := range r.Parts {
		for _, r := range p.Referrers {
			state := "was there"
			switch {
			case r.NotCopied != "":
				state = "not copied: " + r.NotCopied
			case r.Changed && p.ToSend != nil:
				state = size(r.Size) + " to send"
			case r.Changed:
				state = size(r.Size) + " sent"
			}
			name := r.Digest
			if r.Tag != "" {
				name = r.Tag + "@" + r.Digest
			}
			rows = append(rows, []string{partName(p.Part), cmp.Or(r.Type, "unknown"), oneLine(state), name})
		}
	}
	out.table([]column{word("REFERRER OF"), word("TYPE"), prose("STATE"), word("DIGEST")}, rows)
}

// writeMounting says how the agent comes to use what was published.
func writeMounting(out *layout, parts map[push.Part]push.PartResult, o mirror.PushOptions) {
	if pushed, ok := parts[push.Image]; ok {
		// A node that has pulled a tag does not notice that the tag was moved.
		image := pushed.Reference + "@" + pushed.Digest
		target := o.Source
		switch bundle, ok := parts[push.Bundle]; {
		case target == "-":
			target = form.RegistryPrefix + image // standard input cannot be read again
		case ok && inRegistry(target):
			target = form.RegistryPrefix + bundle.Reference // the other registry may be behind the gap
		}
		seeding := slices.DeleteFunc(slices.Clone(pushed.Platforms), func(p agent.Platform) bool { return slices.Contains(pushed.MountOnly, p) })
		only := ""
		if len(seeding) == 1 {
			only = seeding[0].String()
		}
		command := func(way string) string {
			line := "botkube-mirror values " + target + " " + way + " " + image
			if way == "--seed-from" && len(pushed.Platforms) > 1 { // a volume holds one platform
				line += " --platform " + cmp.Or(only, "OS/ARCH")
			}
			if o.Image.Mount != defaultMount {
				line += " --mount " + o.Image.Mount
			}
			if _, ok := parts[push.AgentImage]; ok {
				line += " --registry " + o.Prefix
			}
			return line + " --values YOURS.yaml"
		}
		out.next("print the Helm values to mount the image (Kubernetes 1.35 or later)", command("--image"))
		if len(seeding) > 0 {
			out.or("print those to fill a volume from it (any Kubernetes)", command("--seed-from"))
		}
	}
	// Helm takes the version of a chart, whose + is _ in the tag.
	if chart, ok := parts[push.Chart]; ok {
		i := strings.LastIndex(chart.Reference, ":")
		out.next("install the chart with these values", fmt.Sprintf("helm upgrade --install botkube oci://%s --version %s --namespace botkube --create-namespace --values YOURS.yaml --values MIRROR.yaml",
			chart.Reference[:i], strings.ReplaceAll(chart.Reference[i+1:], "_", "+")))
	}
}
