//go:build unix

package docs

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxColumns = 100
	maxLines   = 200
	// repository is where links to this repository lead.
	repository = "https://github.com/botkube-mirror/botkube-mirror/blob/main/"
)

var (
	codeSpan   = regexp.MustCompile("`+[^`]*`+")
	inlineLink = regexp.MustCompile(`\]\(<?([^)\s>]*)>?[^)]*\)`)
	reference  = regexp.MustCompile(`^ {0,3}\[[^\]]+\]: +(\S+)`)
	attribute  = regexp.MustCompile(`\b(?:src|href|srcset)="([^"\s]*)`)
	identifier = regexp.MustCompile(`\b(?:id|name)="([^"]*)"`)
	linkText   = regexp.MustCompile(`!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])?`)
	tag        = regexp.MustCompile(`<[^>]*>`)
	bareURL    = regexp.MustCompile(`https?://\S+`)
	// A link may be broken over two lines of a paragraph.
	openLink = regexp.MustCompile(`\]\([^)]*$`)
)

func (p *page) findTargets(i int, line string) {
	line = codeSpan.ReplaceAllString(line, "")
	for _, pattern := range []*regexp.Regexp{inlineLink, reference, attribute} {
		for _, m := range pattern.FindAllStringSubmatch(line, -1) {
			p.targets = append(p.targets, target{i, m[1]})
		}
	}
	for _, m := range identifier.FindAllStringSubmatch(line, -1) {
		p.anchors = append(p.anchors, m[1])
	}
	if openLink.MatchString(line) {
		p.problem(i, "the link at the end is broken over two lines")
	}
}

// anchorsOf returns the anchors of a page, as GitHub makes them.
func (p *page) anchorsOf() []string {
	anchors := slices.Clone(p.anchors)
	seen := map[string]int{}
	for _, text := range p.headings {
		text = tag.ReplaceAllString(linkText.ReplaceAllString(text, "$1"), "")
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r):
				return unicode.ToLower(r)
			}
			return -1
		}, text)
		n := seen[anchor]
		seen[anchor]++
		if n > 0 {
			anchor = fmt.Sprintf("%s-%d", anchor, n)
		}
		anchors = append(anchors, anchor)
	}
	return anchors
}

// A library is all pages of the repository.
type library struct {
	root  string
	pages map[string]*page
}

func readLibrary(root string) (*library, error) {
	l := &library{root: root, pages: map[string]*page{}}
	add := func(file string) error {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		name := filepath.ToSlash(rel)
		l.pages[name] = parse(name, string(data))
		return err
	}
	for _, dir := range []string{"docs", ".github"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(file) != ".md" {
				return err
			}
			return add(file)
		})
		if err != nil {
			return nil, err
		}
	}
	return l, add(filepath.Join(root, "README.md"))
}

// checkLinks reports links of a page that lead nowhere, and returns the pages to which the others lead.
func (l *library) checkLinks(p *page) (linked []string) {
	for _, t := range p.targets {
		raw, own := strings.CutPrefix(t.url, repository)
		from := path.Dir(p.name)
		if own {
			from = "."
		}
		u, err := url.Parse(raw)
		if err != nil || raw == "" {
			p.problem(t.line, "%q is no link", t.url)
			continue
		}
		if u.IsAbs() {
			continue
		}
		if strings.HasPrefix(u.Path, "/") {
			p.problem(t.line, "%s: links are relative", t.url)
			continue
		}
		name := p.name
		if u.Path != "" {
			name = path.Join(from, u.Path)
		}
		to := l.pages[name]
		if to == nil {
			if _, err := os.Stat(filepath.Join(l.root, filepath.FromSlash(name))); err != nil || strings.HasPrefix(name, "../") {
				p.problem(t.line, "there is no %s: %s", name, t.url)
			} else if u.Fragment != "" && path.Ext(name) == ".md" {
				p.problem(t.line, "the anchors of %s are not known: %s", name, t.url)
			}
			continue
		}
		linked = append(linked, name)
		if u.Fragment != "" && !slices.Contains(to.anchorsOf(), u.Fragment) {
			p.problem(t.line, "%s has no heading #%s", name, u.Fragment)
		}
	}
	return linked
}

// unreached returns the pages below docs to which no way leads from a page.
func (l *library) unreached(from string) (names []string) {
	reached := map[string]bool{from: true}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		p := l.pages[queue[0]]
		if p == nil {
			continue
		}
		for _, name := range l.checkLinks(&page{name: p.name, targets: p.targets}) {
			if !reached[name] {
				reached[name] = true
				queue = append(queue, name)
			}
		}
	}
	for name := range l.pages {
		if strings.HasPrefix(name, "docs/") && !reached[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// checkForm reports lines that are too long, and too many of them.
func (p *page) checkForm() {
	if len(p.lines) > maxLines {
		p.problem(maxLines, "the page has %d lines; more than %d are two pages", len(p.lines), maxLines)
	}
	inBlock := map[int]bool{}
	for _, b := range p.blocks {
		for i := b.first; i <= b.end; i++ {
			inBlock[i] = true
		}
	}
	for i, line := range p.lines {
		if inBlock[i] || strings.HasPrefix(strings.TrimSpace(line), "|") || comment.MatchString(line) {
			continue
		}
		line = bareURL.ReplaceAllString(inlineLink.ReplaceAllString(line, "]"), "")
		if n := utf8.RuneCountInString(line); n > maxColumns {
			p.problem(i, "the line has %d columns, more than %d", n, maxColumns)
		}
	}
}
