package cmd

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

const (
	// mostMarkdown bounds a difference in Markdown, in bytes. A comment on GitHub has at most
	// 65,536 characters, and a script that posts it may add some.
	mostMarkdown = 60_000
	// mostShown is how many rows of a table are shown before they are folded.
	mostShown = 15
)

// diffTable is a table of differences: those that belong to no table before it.
type diffTable struct {
	title, head string
	// open tables are never folded.
	open bool
	has  func(lock.Difference) bool
}

// diffTables are in the order in which they are printed. In Markdown, the totals come after the first
// and have what the second has.
var diffTables = []diffTable{
	{"Replaced in place", "What", true, lock.Difference.Alarming},
	{"Botkube and platforms", "What", false, about(lock.SubjectBotkube, lock.SubjectPlatform)},
	{"Plugins", "Plugin", false, about(lock.SubjectPlugin, lock.SubjectBuild)},
	{"Where checksums come from", "File", false, func(d lock.Difference) bool {
		return d.Aspect == lock.AspectVerifiedBy || d.Aspect == lock.AspectVerifiedWith
	}},
	{"Dependencies", "Dependency", false, about(lock.SubjectDependency)},
	{"Images and chart", "What", false, about(lock.SubjectAgentImage, lock.SubjectWatcherImage, lock.SubjectChart)},
	{"Indexes, templates and other files", "What", false, func(lock.Difference) bool { return true }},
}

func about(subjects ...lock.Subject) func(lock.Difference) bool {
	return func(d lock.Difference) bool { return slices.Contains(subjects, d.Subject) }
}

// diffMarkdown words what changed as a comment on a merge request: the verdict, then tables. What
// comes from outside stands in code spans, where no markup and no mention of a user counts.
func diffMarkdown(d *mirror.Diffed) string {
	var out strings.Builder
	fmt.Fprintf(&out, "### Botkube plugins: %s\n\n%s → %s\n", strings.Join(diffVerdict(d, code), ", "), code(form.SourceName(d.A.Target)), code(form.SourceName(d.B.Target)))
	if d.Alarming > 0 {
		out.WriteString("\n**ALARM: content changed that must not change.** The publisher or an attacker replaced it.\nAsk the publisher before you merge.\n")
	}
	rest, left := diffTables[0].take(&out, d.Differences)
	if len(d.Differences) > 0 {
		writeMarkdownTotals(&out, d)
	}
	left += writeUnverified(&out, d.New.Unverified)
	_, rest = diffTables[1].split(rest)
	for _, t := range diffTables[2:] {
		var unfit int
		rest, unfit = t.take(&out, rest)
		left += unfit
	}
	if left > 0 {
		fmt.Fprintf(&out, "\n%s not fit into a comment: botkube-mirror diff prints all.\n", plural(left, "row does", "rows do"))
	}
	for i, text := range notCompared(d.NotCompared) {
		if i == 0 {
			out.WriteString("\n")
		}
		out.WriteString("* " + tameName(text) + "\n")
	}
	return out.String()
}

// diffVerdict says in a few parts what changed. Quote is for what comes from outside.
func diffVerdict(d *mirror.Diffed, quote func(string) string) []string {
	if len(d.Differences) == 0 {
		return []string{"no differences"}
	}
	var parts []string
	if d.Alarming > 0 {
		parts = append(parts, fmt.Sprintf("ALARM, %d replaced in place", d.Alarming))
	}
	if a, b := d.A.BotkubeVersion, d.B.BotkubeVersion; a != b {
		parts = append(parts, quote(a)+" → "+quote(b))
	}
	n := map[lock.Change]int{}
	dependencies := map[string]bool{}
	for _, difference := range d.Differences {
		switch {
		case difference.Subject == lock.SubjectPlugin:
			n[difference.Change]++
		case difference.Subject == lock.SubjectDependency && difference.Aspect != lock.AspectVerifiedBy:
			dependencies[difference.Repository+"/"+difference.Name+"/"+difference.Dependency] = true
		}
	}
	for _, c := range []struct {
		n    int
		what string
	}{{n[lock.Changed], "updated"}, {n[lock.Added], "added"}, {n[lock.Removed], "removed"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if len(dependencies) > 0 {
		parts = append(parts, fmt.Sprintf("%s changed", plural(len(dependencies), "dependency", "dependencies")))
	}
	if len(parts) == 0 {
		return []string{count(len(d.Differences), "difference")}
	}
	return parts
}

func writeMarkdownTotals(out *strings.Builder, d *mirror.Diffed) {
	a, b := d.A.Totals, d.B.Totals
	out.WriteString("\n| | Was | Is |\n|---|---|---|\n")
	if d.A.BotkubeVersion+d.B.BotkubeVersion != "" {
		fmt.Fprintf(out, "| Botkube | %s | %s |\n", code(d.A.BotkubeVersion), code(d.B.BotkubeVersion))
	}
	fmt.Fprintf(out, "| Platforms | %s | %s |\n", code(agent.JoinPlatforms(d.A.Platforms)), code(agent.JoinPlatforms(d.B.Platforms)))
	fmt.Fprintf(out, "| Files | %d | %d |\n", a.Files, b.Files)
	fmt.Fprintf(out, "| Size | %s | %s |\n", size(a.AllBytes), size(b.AllBytes))
	fmt.Fprintf(out, "| Checksums given | %s | %s |\n", countsBySource(a.VerifiedBy), countsBySource(b.VerifiedBy))
	fmt.Fprintf(out, "\nNew content: %s of plugins and dependencies; %s with indexes, images and chart.\n", count(d.New.Files, "file"), size(d.New.Bytes))
}

// writeUnverified lists new files without a publisher's checksum, and returns how many did not fit.
func writeUnverified(out *strings.Builder, urls []string) (left int) {
	if len(urls) == 0 {
		return 0
	}
	fmt.Fprintf(out, "\n#### Unverified: new files without a checksum of the index or the publisher\n\n")
	for _, url := range urls {
		left += writeIfFits(out, "* "+code(url)+"\n")
	}
	return left
}

// split returns the differences that belong to a table, and the others.
func (t diffTable) split(from []lock.Difference) (own, others []lock.Difference) {
	for _, d := range from {
		if t.has(d) {
			own = append(own, d)
		} else {
			others = append(others, d)
		}
	}
	return own, others
}

// take writes a table of the differences that belong to it. It returns the others, and how many
// rows did not fit.
func (t diffTable) take(out *strings.Builder, from []lock.Difference) (others []lock.Difference, left int) {
	all, others := t.split(from)
	if len(all) == 0 {
		return others, 0
	}
	fmt.Fprintf(out, "\n#### %s\n\n", t.title)
	folded := !t.open && len(all) > mostShown
	if folded {
		fmt.Fprintf(out, "<details><summary>%s</summary>\n\n", count(len(all), "difference"))
	}
	fmt.Fprintf(out, "| %s | Was | Is |\n|---|---|---|\n", t.head)
	for _, d := range all {
		what, from, to := diffRow(d, code)
		left += writeIfFits(out, fmt.Sprintf("| %s | %s | %s |\n", what, from, to))
	}
	if folded {
		out.WriteString("\n</details>\n")
	}
	return others, left
}

func writeIfFits(out *strings.Builder, row string) (left int) {
	if out.Len()+len(row) > mostMarkdown {
		return 1
	}
	out.WriteString(row)
	return 0
}

// diffRow returns the cells of a difference. Quote is for what comes from outside.
func diffRow(d lock.Difference, quote func(string) string) (what, from, to string) {
	was, is := d.Sides()
	if from, to = quote(was), quote(is); d.Aspect == lock.AspectVerifiedBy || d.Aspect == lock.AspectFromNewest {
		from, to = was, is // these are fixed words
	}
	switch d.Subject {
	case lock.SubjectPlugin:
		what = fmt.Sprintf("%s %s", d.Type, quote(d.Repository+"/"+d.Name))
		if d.Change != lock.Changed {
			from, to = quote(d.Version), quote(d.Version)
		}
	case lock.SubjectBuild:
		what = fmt.Sprintf("%s %s for %s", d.Type, quote(d.Repository+"/"+d.Name+"@"+d.Version), quote(d.Platform.String()))
	case lock.SubjectDependency:
		what = fmt.Sprintf("%s of %s %s for %s", quote(d.Dependency), d.Type, quote(d.Repository+"/"+d.Name+"@"+d.Version), quote(d.Platform.String()))
	default:
		what = quote(d.What())
	}
	switch {
	case d.Change == lock.Added:
		from, to = "–", cmp.Or(strings.TrimPrefix(to, "–"), "added")
	case d.Change == lock.Removed:
		from, to = cmp.Or(strings.TrimPrefix(from, "–"), "there"), "removed"
	case was == "" && is == "": // schemas
		to = "changed"
	}
	if name := aspectNames[d.Aspect]; name != "" {
		what += ", " + name
	}
	return what, from, to
}

// aspectNames name the aspects that neither a table's title nor the values tell.
var aspectNames = map[lock.Aspect]string{
	lock.AspectIndex: "index", lock.AspectSchemas: "JSON schemas", lock.AspectVerifiedWith: "checksum files", lock.AspectReplaces: "replacement", lock.AspectName: "name",
}

// code returns a text as a code span that is whole within a cell of a table.
func code(text string) string {
	text = oneLine(text)
	if text == "" {
		return "–"
	}
	return "`" + strings.NewReplacer("`", `\x60`, "|", `\x7c`).Replace(text) + "`"
}
