package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

// print writes a result to standard output, as JSON or as text for people.
func (g *global) print(result any, text func() string) error {
	if g.format == "json" {
		enc := json.NewEncoder(g.env.Stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(result)
	}
	_, err := io.WriteString(g.env.Stdout, text())
	return err
}

func pullSummary(r *mirror.Result) string {
	var out strings.Builder
	if r.DryRun {
		writePlan(&out, r)
	}
	fmt.Fprintf(&out, "%s, %s for %s\n", count(len(r.Plugins), "plugin"), plural(r.Dependencies(), "dependency", "dependencies"), platforms(r.Platforms))
	if r.DryRun {
		writeDemand(&out, r)
	} else {
		fmt.Fprintf(&out, "%s: %s downloaded, %s reused\n", count(len(r.Artifacts), "file"), size(r.FetchedBytes), size(r.ReusedBytes))
	}
	writeVouchers(&out, r.Artifacts)
	if len(r.NotSelected) > 0 {
		fmt.Fprintf(&out, "some of it is also offered for %s: add --platform OS/ARCH\n", platforms(r.NotSelected))
	}
	for _, o := range r.Outputs {
		if !r.DryRun {
			writeNext(&out, r, o)
		}
	}
	return out.String()
}

// writePlan lists what a pull would download.
func writePlan(out *strings.Builder, r *mirror.Result) {
	for _, a := range r.Artifacts {
		note := ""
		if a.Status == mirror.StatusReused {
			note = ", in the store"
		}
		fmt.Fprintf(out, "%s (%s, checksum by %s%s)\n", a.URL, size(a.Size), voucher(a.VerifiedBy), note)
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
	out.WriteString("\n")
}

func writeVouchers(out *strings.Builder, artifacts []mirror.ArtifactResult) {
	counts := map[lock.Voucher]int{}
	var unverified []string
	for _, a := range artifacts {
		counts[a.VerifiedBy]++
		if a.VerifiedBy == lock.ByNone {
			unverified = append(unverified, a.URL)
		}
	}
	var parts []string
	for _, v := range []lock.Voucher{lock.ByIndex, lock.ByPublisher, lock.ByLock, lock.ByNone} {
		if counts[v] > 0 {
			parts = append(parts, fmt.Sprintf("%d by %s", counts[v], voucher(v)))
		}
	}
	fmt.Fprintf(out, "checksums given: %s\n", strings.Join(parts, ", "))
	for _, url := range unverified {
		fmt.Fprintf(out, "  nobody vouches for %s\n", url)
	}
}

func voucher(v lock.Voucher) string {
	switch v {
	case lock.ByNone:
		return "nobody"
	case lock.ByPublisher:
		return "the publisher"
	default:
		return "the " + string(v)
	}
}

// writeNext says how an output is used.
func writeNext(out *strings.Builder, r *mirror.Result, o mirror.OutputResult) {
	state := "complete"
	if !o.Changed {
		state = "complete, and was before: nothing was written"
	}
	fmt.Fprintf(out, "%s is %s\n", o.Path, state)
	what := o.Path
	if len(r.Platforms) > 1 {
		what = fmt.Sprintf("the sub-directory of the nodes' platform (%s/%s, …)", o.Path, r.Platforms[0].Dir())
	}
	fmt.Fprintf(out, "next: copy %s to the volume that the agent mounts at %s, and set plugins.cacheDir to %s in its Helm values\n", what, r.Mount, r.Mount)
}

func lockSummary(file string, l *lock.Lock) string {
	var out strings.Builder
	var artifacts []mirror.ArtifactResult
	for _, a := range l.Artifacts {
		artifacts = append(artifacts, mirror.ArtifactResult{URL: a.URL, VerifiedBy: a.VerifiedBy})
	}
	fmt.Fprintf(&out, "%s pins %s and %s for %s\n", file, count(len(l.Plugins), "plugin"), count(len(l.Artifacts), "file"), platforms(l.Platforms))
	writeVouchers(&out, artifacts)
	fmt.Fprintf(&out, "next: commit it, and pull with --lock %s\n", file)
	return out.String()
}

func platforms(all []agent.Platform) string {
	var names []string
	for _, p := range all {
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}

func count(n int, noun string) string { return plural(n, noun, noun+"s") }

func plural(n int, one, many string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, one)
	}
	return fmt.Sprintf("%d %s", n, many)
}
