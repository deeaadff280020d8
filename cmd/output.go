package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/configured"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form/image"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/push"
)

// print writes a result to standard output, as JSON or as text for people.
func (g *global) print(result any, text func() string) error {
	return g.printTo(g.env.Stdout, result, text)
}

func (g *global) printTo(w io.Writer, result any, text func() string) error {
	if g.format == "json" {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(result)
	}
	_, err := io.WriteString(w, tame(text()))
	return err
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
	writeVouchers(&out, r.Artifacts)
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
			writeNext(&out, o, r.Platforms, r.Mount)
		}
	}
	return out.String()
}

// writeConfigured says what values files leave out.
func writeConfigured(out *strings.Builder, c *configured.Agent) {
	if c == nil {
		return
	}
	for _, l := range c.LeftOut {
		fmt.Fprintf(out, "left out: %s %s in group %s, because %s\n", l.Type, tameName(l.Key), tameName(l.Group), tameName(l.Reason))
	}
	for _, n := range c.Notes {
		fmt.Fprintf(out, "note: %s\n", oneLine(n))
	}
}

// writePlan lists what a pull would download.
func writePlan(out *strings.Builder, r *mirror.Result) {
	for _, a := range r.Artifacts {
		note := ""
		switch a.Status {
		case mirror.StatusReused:
			note = ", in the store"
		case mirror.StatusFailed:
			note = ", cannot be had"
		}
		fmt.Fprintf(out, "%s (%s, checksum by %s%s)\n", a.URL, size(a.Size), a.VerifiedBy.What(), note)
	}
}

// writeDemand sums a plan up.
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
		writeDiskUse(out, u)
	}
}

// writeDiskUse says what is needed of a file system.
func writeDiskUse(out *strings.Builder, u mirror.DiskUse) {
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

func atLeast(bytes int64, open bool) string {
	if open {
		return "at least " + size(bytes)
	}
	return size(bytes)
}

func writeVouchers(out *strings.Builder, artifacts []mirror.ArtifactResult) {
	counts := map[lock.ChecksumSource]int{}
	var unverified []string
	for _, a := range artifacts {
		counts[a.VerifiedBy]++
		if a.VerifiedBy == lock.ByNone {
			unverified = append(unverified, a.URL)
		}
	}
	var parts []string
	for _, v := range lock.ChecksumSources {
		if counts[v] > 0 {
			parts = append(parts, fmt.Sprintf("%d by %s", counts[v], v.What()))
		}
	}
	fmt.Fprintf(out, "checksums given: %s\n", strings.Join(parts, ", "))
	for _, url := range unverified {
		fmt.Fprintf(out, "  nobody vouches for %s\n", url)
	}
}

// writeMembers lists what a bundle holds beside plugins.
func writeMembers(out *strings.Builder, agentImage, watcherImage *lock.Image, chart *lock.Chart) {
	writeImage(out, "agent image", agentImage)
	writeImage(out, "watcher image", watcherImage)
	if chart != nil {
		fmt.Fprintf(out, "chart %s %s, checksum by %s\n", chart.Name, chart.Version, chart.VerifiedBy.What())
	}
}

func writeImage(out *strings.Builder, what string, image *lock.Image) {
	if image == nil {
		return
	}
	var all []agent.Platform
	for _, m := range image.Manifests {
		all = append(all, m.Platform)
	}
	fmt.Fprintf(out, "%s %s for %s\n", what, image.Reference, agent.JoinPlatforms(all))
}

// writeState says what an output is.
func writeState(out *strings.Builder, o mirror.OutputResult) {
	state := "complete"
	if !o.Changed {
		state = "complete, and was before: nothing was written"
	}
	name := o.Path
	if name == "-" {
		name = "standard output"
	}
	fmt.Fprintf(out, "%s is %s\n", name, state)
	if o.Digest != "" {
		fmt.Fprintf(out, "  %s %s, %s\n", o.Tag, o.Digest, size(o.Size))
	}
}

// writeNext says what an output is, and how it is used.
func writeNext(out *strings.Builder, o mirror.OutputResult, all []agent.Platform, mount string) {
	writeState(out, o)
	out.WriteString(o.Next(all, mount))
}

func unpackSummary(r *mirror.Unpacked) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s for %s, verified\n", count(len(r.Plugins), "plugin"), agent.JoinPlatforms(r.Platforms))
	if r.FetchedBytes > 0 {
		fmt.Fprintf(&out, "%s downloaded\n", size(r.FetchedBytes))
	}
	for _, o := range r.Outputs {
		if r.Copied {
			writeState(&out, o) // it is on its volume
			continue
		}
		writeNext(&out, o, r.Platforms, r.Mount)
	}
	return out.String()
}

func pushSummary(r *push.Result, o mirror.PushOptions) string {
	var out strings.Builder
	for _, p := range r.Parts {
		state := size(p.UploadedBytes) + " uploaded"
		if !p.Changed && p.UploadedBytes == 0 {
			state = "was there"
		}
		fmt.Fprintf(&out, "%s@%s (%s, %s)\n", p.Reference, p.Digest, size(p.Size), state)
		out.WriteString(image.MountOnlyNote(p.MountOnly))
	}
	for _, part := range r.Absent {
		fmt.Fprintf(&out, "the bundle has no %s: pull it with --with-%s\n", strings.ReplaceAll(string(part), "-", " "), part)
	}
	writeMounting(&out, r, o)
	writeInstalling(&out, r)
	return out.String()
}

// writeInstalling says how Helm gets at a chart that was pushed: it wants the
// version, of which + is _ in the tag.
func writeInstalling(out *strings.Builder, r *push.Result) {
	for _, p := range r.Parts {
		if p.Part != push.Chart {
			continue
		}
		i := strings.LastIndex(p.Reference, ":")
		fmt.Fprintf(out, "next: install the chart with them: helm upgrade --install botkube oci://%s --version %s --values YOURS.yaml --values MIRROR.yaml\n",
			p.Reference[:i], strings.ReplaceAll(p.Reference[i+1:], "_", "+"))
	}
}

// writeMounting says how an agent gets at an image that was pushed.
func writeMounting(out *strings.Builder, r *push.Result, o mirror.PushOptions) {
	of := func(p push.Part) int {
		return slices.IndexFunc(r.Parts, func(pushed push.PartResult) bool { return pushed.Part == p })
	}
	i := of(push.Image)
	if i < 0 {
		return
	}
	// A node that has pulled a tag does not notice when it is moved.
	image := r.Parts[i].Reference + "@" + r.Parts[i].Digest
	target := o.Source
	if target == "-" {
		target = "docker://" + image // what came from there is gone
	}
	command := "botkube-mirror values " + target + " --image " + image
	if o.Mount != defaultMount {
		command += " --mount " + o.Mount
	}
	if of(push.AgentImage) >= 0 {
		command += " --registry " + o.Prefix
	}
	fmt.Fprintf(out, "next: print the Helm values to mount it: %s --values YOURS.yaml\n  or to fill a volume from it: --seed-from in the place of --image\n", command)
}

func lockSummary(file string, l *lock.Lock, configured *configured.Agent) string {
	var out strings.Builder
	writeConfigured(&out, configured)
	var artifacts []mirror.ArtifactResult
	for _, a := range l.Artifacts {
		artifacts = append(artifacts, mirror.ArtifactResult{URL: a.URL, VerifiedBy: a.VerifiedBy})
	}
	fmt.Fprintf(&out, "%s pins %s and %s for %s\n", file, count(len(l.Plugins), "plugin"), count(len(l.Artifacts), "file"), agent.JoinPlatforms(l.Platforms))
	writeVouchers(&out, artifacts)
	writeMembers(&out, l.AgentImage, l.WatcherImage, l.Chart)
	fmt.Fprintf(&out, "next: commit it, and pull with --lock %s\n", file)
	return out.String()
}

func count(n int, noun string) string { return plural(n, noun, noun+"s") }

func plural(n int, one, many string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, one)
	}
	return fmt.Sprintf("%d %s", n, many)
}
