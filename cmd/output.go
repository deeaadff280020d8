package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/configured"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
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
	out.quiet = g.quiet
	text(out)
	_, err := io.WriteString(w, out.String())
	return err
}

// configured says what values files leave out.
func (l *layout) configured(c *configured.Agent) {
	if c == nil {
		return
	}
	writeLeftOut(l, c.LeftOut)
	for _, n := range c.Notes {
		l.note("%s", n)
	}
}

// checksumFrom says in a table where a checksum comes from.
func checksumFrom(by lock.ChecksumSource) string {
	switch by {
	case lock.ByNone:
		return "unverified"
	case lock.ByLock:
		return "earlier lock"
	case lock.ByFlag:
		return "--dependency"
	}
	return string(by)
}

// checked is a file of upstream, its size if known, and where its checksum comes from.
type checked struct {
	url  string
	size int64
	by   lock.ChecksumSource
}

// checksums counts files by where their checksums come from.
func (l *layout) checksums(files []checked) {
	count := map[lock.ChecksumSource]int{}
	bytes := map[lock.ChecksumSource]int64{}
	unknown := map[lock.ChecksumSource]bool{}
	for _, f := range files {
		count[f.by]++
		bytes[f.by] += max(f.size, 0)
		unknown[f.by] = unknown[f.by] || f.size < 0
	}
	var rows [][]string
	for _, by := range lock.ChecksumSources {
		if count[by] > 0 {
			rows = append(rows, []string{checksumFrom(by), strconv.Itoa(count[by]), atLeast(bytes[by], unknown[by])})
		}
	}
	l.table([]column{word("CHECKSUM FROM"), number("FILES"), number("SIZE")}, rows)
}

// mostUnverified is how many files without a checksum a summary lists, if another command has all.
const mostUnverified = 10

// unverified lists the files without a checksum. If there are many, it lists some, and says which
// command lists all; without a command, it lists all of them.
func (l *layout) unverified(files []checked, all string) {
	var urls []string
	for _, f := range files {
		if f.by == lock.ByNone {
			urls = append(urls, f.url)
		}
	}
	if len(urls) == 0 {
		return
	}
	l.title("Unverified: no publisher checksum for")
	for i, url := range urls {
		if more := len(urls) - i; all != "" && i == mostUnverified && more > 1 {
			l.item("and %d more: %s lists all", more, all)
			break
		}
		l.item("%s", url)
	}
	l.last = textBlock
}

// replaced lists the dependencies of plugins that are not their index's: once for an executor and a
// source of one name.
func (l *layout) replaced(all []lock.Replaced) {
	var rows [][]string
	told := map[string]bool{}
	for _, d := range all {
		if told[d.String()] {
			continue
		}
		told[d.String()] = true
		instead, note := d.Replaces, ""
		switch {
		case d.Replaces == lock.ReplacesNothing:
			instead = "nothing: the index has none"
		case d.SameFile():
			note = "the same file, other parameters"
		}
		rows = append(rows, []string{d.Dependency, d.Plugin.String(), d.Platform.String(), note, d.URL, instead})
	}
	l.table([]column{word("REPLACED"), word("PLUGIN"), word("PLATFORM"), word("NOTE"), word("URL"), named("INSTEAD OF")}, rows)
}

// members lists what a bundle holds beside plugins.
func (l *layout) members(agentImage, watcherImage *lock.Image, chart *lock.Chart) {
	var rows [][]string
	for _, m := range []struct {
		what  string
		image *lock.Image
	}{{"agent image", agentImage}, {"watcher image", watcherImage}} {
		if m.image == nil {
			continue
		}
		var platforms []agent.Platform
		for _, manifest := range m.image.Manifests {
			platforms = append(platforms, manifest.Platform)
		}
		rows = append(rows, []string{m.what, m.image.Reference, agent.JoinPlatforms(platforms), ""})
	}
	if chart != nil {
		rows = append(rows, []string{"Helm chart", chart.Name + " " + chart.Version, "", checksumFrom(chart.VerifiedBy)})
	}
	l.table([]column{word("ALSO"), word("NAME"), word("PLATFORMS"), word("CHECKSUM FROM")}, rows)
}

// partial notes which images have another digest than upstream's.
func (l *layout) partial(images ...*lock.Image) {
	for _, image := range images {
		if image == nil || image.Index != nil {
			continue
		}
		l.note("only some platforms of %s are mirrored. In your registry, its index has another digest than upstream's. --whole-image keeps upstream's.", image.Reference)
	}
}

// written says what became of outputs, what they have, and what was downloaded for them.
func (l *layout) written(outputs []mirror.OutputResult, contents, traffic string) {
	subject, state := count(len(outputs), "output"), "already complete"
	var rows [][]string
	for _, o := range outputs {
		is, bytes := "unchanged", ""
		if o.Changed {
			is, state = "written", "complete"
		}
		if o.Digest != "" {
			bytes = size(o.Size)
		}
		rows = append(rows, []string{o.String(), is, o.Tag, bytes, o.Digest})
	}
	if len(outputs) == 1 {
		subject = outputs[0].String()
	}
	l.verdict(good, subject, state, contents)
	if traffic != "" {
		l.item("%s", traffic)
	}
	if len(outputs) > 1 {
		l.table([]column{word("OUTPUT"), word("STATE"), word("TAG"), number("SIZE"), word("DIGEST")}, rows)
		return
	}
	for _, o := range outputs {
		l.tagged(o.Tag, o.Digest, o.Size)
	}
}

// tagged writes the tag, the size and the digest of a mirror, if it has them.
func (l *layout) tagged(tag, digest string, bytes int64) {
	if tag != "" && bytes > 0 {
		l.item("tag %s, %s", tag, size(bytes))
	} else if tag != "" {
		l.item("tag %s", tag)
	}
	if digest != "" {
		l.item("digest %s", digest)
	}
}

// steps says how outputs are used. The notes of all come before the first step.
func (l *layout) steps(all []form.Advice) {
	for _, a := range all {
		for _, n := range a.Notes {
			l.note("%s", n)
		}
	}
	for _, a := range all {
		for _, step := range a.Steps {
			if step.Or {
				l.or(step.Do, step.Commands...)
			} else {
				l.next(step.Do, step.Commands...)
			}
		}
	}
}

// settings lists Helm values.
func (l *layout) settings(all []form.Setting) {
	if len(all) == 0 {
		return
	}
	if l.last != titleBlock {
		l.title("Helm values of the agent:")
	}
	for _, s := range all {
		l.fact(s.Key+":", s.Value)
	}
	l.last = textBlock
}

// contents counts what a mirror holds.
func contents(plugins, dependencies int, platforms []agent.Platform) string {
	text := count(plugins, "plugin")
	if dependencies > 0 {
		text += " and " + plural(dependencies, "dependency", "dependencies")
	}
	return text + " for " + agent.JoinPlatforms(platforms)
}

func countsBySource(counts map[lock.ChecksumSource]int) string {
	var parts []string
	for _, by := range lock.ChecksumSources {
		if counts[by] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[by], by.What()))
		}
	}
	return strings.Join(parts, ", ")
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
