//go:build linux

package main

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// screen is a terminal that nothing scrolls off, and remembers when each row looked how.
type screen struct {
	now time.Duration
	// began is when the last command began to run.
	began time.Duration
	rows  []row
	// at is the row, and column the column, of the cursor.
	at, column int
	look       string
	rest       []byte // a sequence or character that is not complete yet
}

// row is a line of the terminal.
type row struct {
	versions []version
	// keys is how many keystrokes a row took that was typed; 0 if a command printed it.
	keys int
}

// version is what a row shows from a time on.
type version struct {
	from  time.Duration
	cells []cell
}

type cell struct {
	r    rune
	look string
}

// text returns what a row shows without its colours.
func (v version) text() string {
	var out strings.Builder
	for _, c := range v.cells {
		out.WriteRune(c.r)
	}
	return strings.TrimRight(out.String(), " ")
}

func (r *row) last() version {
	if len(r.versions) == 0 {
		return version{}
	}
	return r.versions[len(r.versions)-1]
}

// settle is for how long a row must look alike for anybody to see it.
const settle = 150 * time.Millisecond

// change gives a row another look.
func (s *screen) change(at int, edit func([]cell) []cell) {
	for len(s.rows) <= at {
		s.rows = append(s.rows, row{})
	}
	r := &s.rows[at]
	cells := edit(slices.Clone(r.last().cells))
	if n := len(r.versions); n > 0 && s.now-r.versions[n-1].from < settle {
		r.versions[n-1].cells = cells
		return
	}
	r.versions = append(r.versions, version{s.now, cells})
}

// typed shows a command line, which may go on in further rows, as it is typed.
func (s *screen) typed(line string) {
	prompt := "$ "
	for _, text := range strings.Split(line, "\n") {
		look := "command"
		if strings.HasPrefix(text, "#") {
			look = "dim"
		}
		there := len(prompt) // without a keystroke
		typed := append(cells(prompt, "dim"), cells(text, look)...)
		for part := range slices.Chunk(typed, columns) { // as a terminal breaks a line
			s.change(s.at, func([]cell) []cell { return part })
			s.rows[s.at].keys = len(part) - there
			s.now += time.Duration(len(part)-there) * keystroke
			s.at, there = s.at+1, 0
		}
		s.column, prompt = 0, "> "
	}
}

func cells(text, look string) (all []cell) {
	for _, r := range text {
		all = append(all, cell{r, look})
	}
	return all
}

// write has the terminal show what a program wrote.
func (s *screen) write(p []byte) {
	p = append(s.rest, p...)
	for len(p) > 0 {
		n := s.step(p)
		if n == 0 {
			break
		}
		p = p[n:]
	}
	s.rest = slices.Clone(p)
}

// step takes one character or control sequence, and returns its length, or 0 if it is not complete.
func (s *screen) step(p []byte) int {
	switch p[0] {
	case '\r':
		s.column = 0
		return 1
	case '\n':
		s.at++
		return 1
	case '\b':
		s.column = max(s.column-1, 0)
		return 1
	case 0x1b:
		return s.sequence(p)
	}
	if !utf8.FullRune(p) {
		return 0
	}
	r, n := utf8.DecodeRune(p)
	if r < ' ' {
		return n
	}
	if s.column == columns {
		s.at, s.column = s.at+1, 0
	}
	s.change(s.at, func(row []cell) []cell {
		for len(row) <= s.column {
			row = append(row, cell{r: ' '})
		}
		row[s.column] = cell{r, s.look}
		return row
	})
	s.column++
	return n
}

// sequence takes a control sequence (ECMA-48, CSI).
func (s *screen) sequence(p []byte) int {
	if len(p) < 2 {
		return 0
	}
	if p[1] != '[' {
		return 2
	}
	end := bytes.IndexFunc(p[2:], func(r rune) bool { return r >= '@' && r <= '~' })
	if end < 0 {
		return 0
	}
	parameters := string(p[2 : 2+end])
	switch n, _ := strconv.Atoi(parameters); p[2+end] {
	case 'A':
		s.at = max(s.at-max(n, 1), 0)
	case 'm':
		s.color(parameters)
	case 'K', 'J':
		from := s.column
		if n == 2 {
			from = 0
		}
		if s.at < len(s.rows) {
			s.change(s.at, func(row []cell) []cell { return row[:min(from, len(row))] })
		}
		for below := s.at + 1; p[2+end] == 'J' && below < len(s.rows); below++ {
			s.change(below, func([]cell) []cell { return nil })
		}
	}
	return 2 + end + 1
}

// looks are the classes of the SGR parameters that are drawn.
var looks = map[string]string{"1": "bold", "2": "dim", "31": "red", "32": "green", "33": "yellow", "34": "blue", "35": "magenta", "36": "cyan"}

func (s *screen) color(parameters string) {
	for _, p := range strings.Split(parameters, ";") {
		switch look, known := looks[p]; {
		case !known:
			s.look = ""
		case s.look == "":
			s.look = look
		default:
			s.look += " " + look
		}
	}
}

// transcript returns what the terminal shows in the end.
func (s *screen) transcript() string {
	var out strings.Builder
	for _, r := range s.rows {
		out.WriteString(r.last().text() + "\n")
	}
	return strings.TrimRight(out.String(), "\n") + "\n"
}
