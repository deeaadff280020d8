//go:build unix

package docs

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// flagsPage is made from the program: it has every flag, and the commands that have it.
const flagsPage = "docs/reference/commands/flags.md"

// foreignFlags are those of other programs that pages name by themselves.
var foreignFlags = []string{"help", "all", "annotate-ref", "inplace", "preserve-digests", "set", "timeout", "userns"}

var (
	flagsRow    = regexp.MustCompile("^\\| `--([a-z0-9-]+)` \\|.* \\| (.*) \\|$")
	commandLink = regexp.MustCompile(`\[([a-z]+)\]`)
	span        = regexp.MustCompile("`([^`]+)`")
	invocation  = regexp.MustCompile(`(?:^|[\s(])botkube-mirror ([a-z]+)(\s[^|;&]*|$)`)
	flagName    = regexp.MustCompile(`(?:^|[\s(])--([a-z][a-z0-9-]*)`)
)

// flags returns the commands that have each flag: none where all have it.
func (l *library) flags() map[string][]string {
	found := map[string][]string{}
	if p := l.pages[flagsPage]; p != nil {
		for _, line := range p.lines {
			if m := flagsRow.FindStringSubmatch(line); m != nil {
				found[m[1]] = nil
				for _, link := range commandLink.FindAllStringSubmatch(m[2], -1) {
					found[m[1]] = append(found[m[1]], link[1])
				}
			}
		}
	}
	return found
}

// checkFlags reports commands and flags that do not exist, in text and in blocks that are not run.
func (l *library) checkFlags(p *page, flags map[string][]string) {
	ofCommand := func(line int, text string) {
		for _, m := range invocation.FindAllStringSubmatch(text, -1) {
			if l.pages[path.Join(path.Dir(flagsPage), m[1]+".md")] == nil {
				p.problem(line, "there is no command %s", m[1])
				continue
			}
			for _, f := range flagName.FindAllStringSubmatch(m[2], -1) {
				if commands, known := flags[f[1]]; f[1] != "help" && (!known || commands != nil && !slices.Contains(commands, m[1])) {
					p.problem(line, "%s has no flag --%s", m[1], f[1])
				}
			}
		}
	}
	inBlock := map[int]bool{}
	for _, b := range p.blocks {
		for i := b.first; i <= b.end; i++ {
			inBlock[i] = true
		}
		if b.marks.notRun != "" {
			for _, line := range strings.Split(strings.ReplaceAll(p.content(b), "\\\n> ", ""), "\n") {
				ofCommand(b.first, line)
			}
		}
	}
	for i, line := range p.lines {
		if inBlock[i] {
			continue
		}
		for _, m := range span.FindAllStringSubmatch(line, -1) {
			ofCommand(i, m[1])
			if !strings.HasPrefix(m[1], "--") {
				continue
			}
			for _, f := range flagName.FindAllStringSubmatch(m[1], -1) {
				if _, known := flags[f[1]]; !known && !slices.Contains(foreignFlags, f[1]) && !strings.HasSuffix(f[1], "-") {
					p.problem(i, "no command has the flag --%s", f[1])
				}
			}
		}
	}
}
