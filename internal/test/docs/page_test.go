//go:build unix

package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A page is a Markdown file, taken apart.
type page struct {
	name     string // from the root of the repository, with slashes
	lines    []string
	blocks   []*block
	steps    []*step
	headings []string
	targets  []target
	anchors  []string // those that HTML in the page sets
	problems []string
}

// A block is a fenced block of code.
type block struct {
	first, end int // the lines of the fences
	indent     string
	language   string
	marks      marks
}

// marks are what the comments before a block say about it.
type marks struct {
	notRun     string
	needs      []string
	exit       string
	file       string
	background bool
}

// A step is a command that is run, or a file that is written.
type step struct {
	line    int // of the command or of the fence
	command string
	hidden  bool
	// shown begins and ends the output that the page shows.
	shown, shownEnd int
	block           *block
	// exit is the code that is expected; empty for any.
	exit string
}

// A target is what a link leads to.
type target struct {
	line int
	url  string
}

func (p *page) problem(line int, format string, args ...any) {
	p.problems = append(p.problems, fmt.Sprintf("%s:%d: %s", p.name, line+1, fmt.Sprintf(format, args...)))
}

var (
	fence    = regexp.MustCompile("^( *)(```+|~~~+) *([^ `]*)[^`]*$")
	comment  = regexp.MustCompile(`^ *<!-- *(.*?) *-->$`)
	listItem = regexp.MustCompile(`^ *([-*+]|\d+[.)]) +`)
	heading  = regexp.MustCompile(`^#{1,6} +(.*?)(?: +#+)?$`)
)

// ownComments are those that other tests look for.
var ownComments = []string{"matrix:begin", "matrix:end"}

func parse(name, text string) *page {
	p := &page{name: name, lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n")}
	var pending marks
	marked := -1 // the line of the last mark without a block
	var list []int
	blank := true
	for i := 0; i < len(p.lines); i++ {
		line := p.lines[i]
		if m := fence.FindStringSubmatch(line); m != nil {
			b := &block{first: i, end: len(p.lines), indent: m[1], language: m[3], marks: pending}
			for j := i + 1; j < len(p.lines); j++ {
				if strings.TrimSpace(p.lines[j]) == m[2] {
					b.end = j
					break
				}
			}
			if b.end == len(p.lines) {
				p.problem(i, "this block does not end")
				break
			}
			p.add(b)
			pending, marked, i, blank = marks{}, -1, b.end, false
			continue
		}
		if strings.TrimSpace(line) == "" {
			blank = true
			continue
		}
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if blank || listItem.MatchString(line) {
			for len(list) > 0 && indent < list[len(list)-1] {
				list = list[:len(list)-1]
			}
		}
		content := 0
		if len(list) > 0 {
			content = list[len(list)-1]
		}
		if blank && indent-content >= 4 {
			p.problem(i, "indented code: use a fenced block (```console for commands)")
		}
		if m := listItem.FindString(line); m != "" {
			list = append(list, len(m))
		}
		blank = false
		if m := comment.FindStringSubmatch(line); m != nil {
			if p.mark(&pending, i, m[1]) {
				marked = i
			}
			continue
		}
		if marked >= 0 {
			p.problem(marked, "no block of code follows this comment")
			pending, marked = marks{}, -1
		}
		if m := heading.FindStringSubmatch(line); m != nil {
			p.headings = append(p.headings, m[1])
		}
		p.findTargets(i, line)
	}
	if marked >= 0 {
		p.problem(marked, "no block of code follows this comment")
	}
	return p
}

// mark reads a comment. It reports whether it is about the block that follows.
func (p *page) mark(m *marks, line int, text string) bool {
	word, value, _ := strings.Cut(text, ":")
	value = strings.TrimSpace(value)
	if text == "background" {
		m.background = true
		return true
	}
	if slices.Contains(ownComments, text) || text != "" && strings.ToLower(text[:1]) != text[:1] {
		return false // for people, or for other tests
	}
	if value == "" {
		p.problem(line, "<!-- %s -->: this comment needs a value: <!-- %s: … -->", text, word)
		return true
	}
	switch word {
	case "not run":
		m.notRun = value
	case "needs":
		m.needs = strings.Fields(value)
	case "exit":
		if n, err := strconv.Atoi(value); err != nil || n < 0 || n > 255 {
			p.problem(line, "%q is no exit code", value)
		}
		m.exit = value
	case "file":
		m.file = value
	case "run":
		p.steps = append(p.steps, &step{line: line, command: value, hidden: true, exit: "0"})
		return false
	default:
		p.problem(line, "unknown comment %q: the test knows not run, needs, exit, file, run and background; a remark for people begins with a capital letter", word)
	}
	return true
}

// shells are languages that hide commands from the test.
var shells = []string{"sh", "bash", "shell", "zsh", "shell-session", "sh-session", "terminal"}

func (p *page) add(b *block) {
	p.blocks = append(p.blocks, b)
	m := b.marks
	switch {
	case b.language == "":
		p.problem(b.first, "this block has no language: ```console for commands, ```text for other text")
	case slices.Contains(shells, b.language):
		p.problem(b.first, "```%s is not run: use ```console, with \"$ \" before each command", b.language)
	case b.language != "console":
		if m.exit != "" || m.needs != nil || m.background {
			p.problem(b.first, "only blocks ```console are run")
		}
		if m.file != "" {
			p.steps = append(p.steps, &step{line: b.first, block: b, exit: "0"})
		}
		return
	case m.file != "":
		p.problem(b.first, "a file is no block ```console")
	}
	if b.language != "console" {
		return
	}
	if b.end == b.first+1 || !strings.HasPrefix(p.text(b, b.first+1), "$ ") {
		p.problem(b.first, "a block ```console begins with a command: \"$ \"")
		return
	}
	if m.notRun != "" {
		return
	}
	var last *step
	for i := b.first + 1; i < b.end; {
		last = &step{line: i, block: b, exit: "0", command: strings.TrimPrefix(p.text(b, i), "$ ")}
		for i++; i < b.end && strings.HasPrefix(p.text(b, i)+" ", "> "); i++ {
			last.command += "\n" + strings.TrimPrefix(strings.TrimPrefix(p.text(b, i), ">"), " ")
		}
		if strings.HasSuffix(last.command, `\`) {
			p.problem(i-1, `the command ends in \: the line after it begins with "> "`)
		}
		for last.shown = i; i < b.end && !strings.HasPrefix(p.text(b, i), "$ "); i++ {
		}
		last.shownEnd = i
		// What is asked about by the next command is announced.
		if n := len(p.steps); n > 0 && strings.TrimSpace(last.command) == "echo $?" && p.steps[n-1].block == b {
			p.steps[n-1].exit = ""
		}
		p.steps = append(p.steps, last)
	}
	if m.exit != "" {
		last.exit = m.exit
	}
	if m.background && last.line != b.first+1 {
		p.problem(b.first, "a block that runs in the background has one command")
	}
}

// text returns a line of a block without the block's indentation.
func (p *page) text(b *block, line int) string { return strings.TrimPrefix(p.lines[line], b.indent) }

// content returns what is between the fences.
func (p *page) content(b *block) string {
	var out strings.Builder
	for i := b.first + 1; i < b.end; i++ {
		out.WriteString(p.text(b, i) + "\n")
	}
	return out.String()
}

// shown returns the output of a step that the page shows.
func (p *page) shown(s *step) (lines []string) {
	for i := s.shown; i < s.shownEnd; i++ {
		lines = append(lines, p.text(s.block, i))
	}
	return lines
}
