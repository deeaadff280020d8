package page

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

const icon = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' fill='%231f5fbf'/%3E%3Cpath d='M4 4h3v8H4zM9 4h3v8H9z' fill='%23fff'/%3E%3C/svg%3E"

// Render returns the page as HTML. The same page gives the same bytes.
func (p *Page) Render() []byte {
	if p.Made.Unix() <= 0 { // nobody said it
		p.Made = time.Time{}
	}
	root := block("html", attribute{"lang", "en"}, markup("\n"), p.head(), block("body", markup("\n"),
		block("a", class("skip"), attribute{"href", "#content"}, "Skip to content"),
		p.header(),
		block("main", id("content"), markup("\n"), p.versions(), p.glance(), p.values(), p.plugins(), p.files(), p.check()),
		block("footer", el("p", "Written by botkube-mirror. Agents never request this page.")),
	))
	return []byte("<!DOCTYPE html>\n" + root)
}

func (p *Page) name() string {
	if p.Botkube == "" {
		return "Botkube, " + p.Tag
	}
	return "Botkube " + p.Botkube
}

func (p *Page) head() markup {
	meta := func(name, content string) markup {
		return block("meta", attribute{"name", name}, attribute{"content", content})
	}
	date := markup("")
	if !p.Made.IsZero() {
		date = meta("date", p.Made.UTC().Format(time.RFC3339))
	}
	return block("head", markup("\n"),
		block("meta", attribute{"charset", "utf-8"}),
		block("meta", attribute{"http-equiv", "Content-Security-Policy"}, attribute{"content", policy()}),
		meta("viewport", "width=device-width, initial-scale=1"),
		meta("color-scheme", "light dark"),
		meta("referrer", "no-referrer"),
		markup(mark+"\n"), date,
		block("title", p.name(), " · plugin mirror"),
		block("link", attribute{"rel", "icon"}, attribute{"href", icon}),
		block("style", markup(style)),
	)
}

func link(to, text string) markup { return el("a", attribute{"href", to}, text) }

func code(text string) markup { return el("code", text) }

// command is a text to copy, which a click selects.
func command(text string) markup {
	return block("pre", class("command"), attribute{"tabindex", "0"}, attribute{"role", "group"}, attribute{"aria-label", "Command"}, code(text))
}

// section has a heading with an id.
func section(name, title string, content ...any) markup {
	return block("section", append([]any{attribute{"aria-labelledby", name}, markup("\n"), block("h2", id(name), title)}, content...)...)
}

func (p *Page) header() markup {
	up := markup("")
	if p.Up != "" {
		up = block("p", class("up"), link(p.Up, "All versions"))
	}
	var parts []markup
	for _, part := range [][2]string{{"versions", "Versions"}, {"values", "Helm values"}, {"plugins", "Plugins"}, {"files", "Files and checksums"}, {"check", "Check and unpack"}} {
		if part[0] != "versions" || len(p.All) > 0 {
			parts = append(parts, block("li", link("#"+part[0], part[1])))
		}
	}
	use := markup("")
	if p.Values != "" {
		use = " To use this mirror, give Helm " + link("#values", "the values below") + "."
	}
	password := markup("")
	if p.Password {
		password = block("p", class("warn"), "This server requires a user name and a password. Give them to Helm in a values file after mirror.yaml: see “TLS and passwords” in docs/how-to/web-server-in-production.md. Give them to curl with --netrc.")
	}
	return block("header", markup("\n"), up,
		block("h1", "Plugins for ", p.name()),
		block("p", class("lede"), "This is a mirror of Botkube plugins. An agent that uses it downloads plugins only from ", code(p.BaseURL), ".", use),
		password,
		block("nav", attribute{"aria-label", "On this page"}, el("ul", markup("\n"), parts)),
	)
}

func (p *Page) versions() markup {
	if len(p.All) == 0 {
		return ""
	}
	var rows [][]any
	for _, v := range p.All {
		name := link(v.URL, v.Tag)
		if v.Shown {
			name += " " + el("span", class("tag"), "shown below")
		}
		rows = append(rows, []any{name, agent.JoinPlatforms(v.Platforms), v.Plugins, v.Files, size(v.Size)})
	}
	return section("versions", "Versions",
		table("", []column{{"Version", ""}, {"Platforms", ""}, {"Plugins", "n"}, {"Files", "n"}, {"Size", "n"}}, rows))
}

func (p *Page) glance() markup {
	fact := func(kind, title string, content ...any) markup {
		return block("div", class(kind), el("dt", title), el("dd", content...))
	}
	var vouchers []any
	for i, v := range p.ChecksumCounts {
		if i > 0 {
			vouchers = append(vouchers, el("br"))
		}
		vouchers = append(vouchers, el("span", class(warning(v.Source)), v.Source.What(), ": ", v.Files, " ", plural(v.Files, "file")))
	}
	made := markup("")
	if !p.Made.IsZero() {
		at := p.Made.UTC()
		made = fact("wide", "Made", el("time", attribute{"datetime", at.Format(time.RFC3339)}, at.Format("2 January 2006, 15:04 UTC")))
	}
	var repositories [][]any
	for _, r := range p.Repositories {
		repositories = append(repositories, []any{r.Name, code(r.Index), code(r.Upstream)})
	}
	return section("contents", p.Tag+" at a glance",
		block("dl", class("facts"), markup("\n"),
			fact("", "Plugins", p.Plugins),
			fact("", "Files", p.Files, ", ", size(p.Size)),
			fact("", "Platforms", agent.JoinPlatforms(p.Platforms)),
			fact("", "Checksums", vouchers...),
			made,
			fact("wide", "Lock", code(p.LockDigest)),
			fact("wide", "Documents", link(p.LockURL, "lock.json"), ", ", link(p.SumsURL, "SHA256SUMS")),
		),
		block("h3", "Repositories"),
		table("", []column{{"Name", ""}, {"Index for the agent", ""}, {"Mirrored from", ""}}, repositories),
	)
}

func (p *Page) values() markup {
	content := []any{block("p", class("warn"), "No Helm values: ", p.NoValues, ".")}
	if p.Values != "" {
		content = []any{
			block("p", "With these values, an agent uses version ", p.Tag, " of this mirror. Click on the text to select all of it. Save it as ", code("mirror.yaml"), ":"),
			block("pre", attribute{"tabindex", "0"}, attribute{"role", "region"}, attribute{"aria-label", "Helm values"}, code(p.Values)),
			block("p", "Give this file to Helm after your own values. Replace CHART with Botkube’s Helm chart:"),
			command("helm upgrade --install botkube CHART --values yours.yaml --values mirror.yaml"),
		}
	}
	if len(p.Templates) > 0 {
		var rows [][]any
		for _, t := range p.Templates {
			rows = append(rows, []any{t.Plugin, code(t.Ref), code(t.URL)})
		}
		content = append(content, block("h3", "Templates of exec"),
			block("p", "The exec plugin downloads templates from the URLs in its configuration. Replace these URLs in ", code("templates[].ref"), ":"),
			table("", []column{{"Plugin", ""}, {"Replace", ""}, {"With", ""}}, rows))
	}
	return section("values", "Helm values", content...)
}

func (p *Page) plugins() markup {
	var rows [][]any
	for i, e := range p.Entries {
		dependencies := strings.Join(e.Dependencies, ", ")
		if dependencies == "" {
			dependencies = "none"
		}
		rows = append(rows, []any{link(anchor("#", i), e.Name), e.Type, e.Version, agent.JoinPlatforms(e.Platforms), dependencies, size(e.Size)})
	}
	return section("plugins", "Plugins",
		table("", []column{{"Plugin", ""}, {"Type", ""}, {"Version", ""}, {"Platforms", ""}, {"Dependencies", ""}, {"Size", "n"}}, rows))
}

func anchor(prefix string, plugin int) string { return fmt.Sprintf("%splugin-%d", prefix, plugin) }

func (p *Page) files() markup {
	content := []any{block("p", "Each file is byte for byte the file of its publisher, unless a note says that botkube-mirror made an archive from a directory. “Checksum” shows where the file’s checksum comes from. An unverified file has no publisher checksum: the mirror pins the content of the first download.")}
	columns := []column{{"File", ""}, {"Platform", "platform"}, {"Size", "n"}, {"SHA-256", "sum"}, {"Checksum", "from"}}
	for i, e := range p.Entries {
		var rows [][]any
		for _, f := range e.Files {
			platforms := agent.JoinPlatforms(f.For)
			if platforms == "" {
				platforms = "all"
			}
			rows = append(rows, []any{f.title(), platforms, size(f.Size), code(f.SHA256.String()), f.voucher()})
		}
		content = append(content, block("h3", id(anchor("", i)), e.Name, " ", el("small", e.Type, " ", e.Version)), table("files", columns, rows))
	}
	return section("files", "Files and checksums", content...)
}

// title says what a file is, and where it came from.
func (f File) title() markup {
	lines := el("span", f.What)
	for _, note := range f.Notes {
		lines += el("br") + el("small", note)
	}
	return lines + el("br") + link(f.URL, f.Name) + el("br") + el("small", f.Upstream)
}

// voucher shows the source of a file's checksum.
func (f File) voucher() markup {
	lines := el("span", class(warning(f.VerifiedBy)), f.VerifiedBy.What())
	for _, u := range f.VerifiedWith {
		lines += el("br") + el("small", u)
	}
	return lines
}

func (p *Page) check() markup {
	return section("check", "Check and unpack",
		block("h3", "With curl and sha256sum"),
		block("p", "Download all files of version ", p.Tag, " to the current directory, and compare their checksums:"),
		command(p.Check),
		block("h3", "With botkube-mirror"),
		block("p", "On the machine with the mirror, check every file. Replace MIRROR with the bundle or the site’s directory:"),
		command("botkube-mirror verify MIRROR"),
		block("p", "To mount plugins instead of downloading them, unpack the bundle to an agent’s cache directory:"),
		command("botkube-mirror unpack BUNDLE -o ./plugins"),
	)
}

// warning is the class of a file without a publisher's checksum.
func warning(source lock.ChecksumSource) string {
	if source == lock.ByNone {
		return "warn"
	}
	return ""
}

func size(bytes int64) string { return humanize.IBytes(uint64(max(bytes, 0))) }

func plural(n int, what string) string {
	if n == 1 {
		return what
	}
	return what + "s"
}
