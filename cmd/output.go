package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/configured"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

// print writes a result to standard output, as JSON or as text for people.
func (g *global) print(result any, text func(*layout)) error {
	return g.printTo(g.env.Stdout, result, text)
}

func (g *global) printTo(w io.Writer, result any, text func(*layout)) error {
	if g.format == "json" {
		enc := json.NewEncoder(jsonWriter{w})
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(result)
	}
	out := g.env.layoutFor(w)
	text(out)
	_, err := io.WriteString(w, out.String())
	return err
}

// writeConfigured says what values files leave out.
func writeConfigured(out *strings.Builder, c *configured.Agent) {
	if c != nil {
		writeLines(out, c.Lines())
	}
}

func writeLines(out *strings.Builder, lines []string) {
	for _, l := range lines {
		fmt.Fprintf(out, "%s\n", tameName(strings.ReplaceAll(clipped(l), "\n", "; ")))
	}
}

// writeChecksums says where the checksums of files come from, and lists the files without one.
func writeChecksums[F any](out *strings.Builder, files []F, checksum func(F) (url string, by lock.ChecksumSource)) {
	counts := map[lock.ChecksumSource]int{}
	var unverified []string
	for _, f := range files {
		url, by := checksum(f)
		counts[by]++
		if by == lock.ByNone {
			unverified = append(unverified, url)
		}
	}
	fmt.Fprintf(out, "checksums given: %s\n", countsBySource(counts))
	for _, url := range unverified {
		fmt.Fprintf(out, "  nobody vouches for %s\n", url)
	}
}

func countsBySource(counts map[lock.ChecksumSource]int) string {
	var parts []string
	for _, by := range lock.ChecksumSources {
		if counts[by] > 0 {
			parts = append(parts, fmt.Sprintf("%d by %s", counts[by], by.What()))
		}
	}
	return strings.Join(parts, ", ")
}

// writeReplaced lists the dependencies of plugins that are not their index's: once for an executor
// and a source of one name.
func writeReplaced(out *strings.Builder, all []lock.Replaced) {
	told := map[string]bool{}
	for _, d := range all {
		if line := tameName(d.String()) + "\n"; !told[line] {
			told[line] = true
			out.WriteString(line)
		}
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
	if image.Index == nil {
		out.WriteString("  a part of upstream's image: where it is pushed, its index has another digest; --whole-image keeps upstream's\n")
	}
}

func writeState(out *strings.Builder, o mirror.OutputResult) {
	state := "complete"
	if !o.Changed {
		state = "complete, and was before: nothing was written"
	}
	fmt.Fprintf(out, "%s is %s\n", o.String(), state)
	if o.Digest != "" {
		fmt.Fprintf(out, "  %s %s, %s\n", o.Tag, o.Digest, size(o.Size))
	}
}

func count(n int, noun string) string { return plural(n, noun, noun+"s") }

func plural(n int, one, many string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, one)
	}
	return fmt.Sprintf("%d %s", n, many)
}

func size(bytes int64) string {
	if bytes < 0 {
		return "size unknown"
	}
	return humanize.IBytes(uint64(bytes))
}
