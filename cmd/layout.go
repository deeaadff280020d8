package cmd

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/rivo/uniseg"
)

// layout lays out a result for people: the verdict, then tables, then notes, then the next steps.
// A blank line stands between two blocks of different kinds. Whatever it is given is escaped.
type layout struct {
	width  int
	colour bool
	quiet  bool // without notes and steps
	lines  []string
	last   block
}

// block is the kind of what was written last.
type block int

const (
	noBlock block = iota
	titleBlock
	verdictBlock
	textBlock
	tableBlock
	missingBlock
	recordBlock
	noteBlock
	nextBlock
)

// mood decides the colour of a verdict.
type mood string

const (
	plain   mood = ""
	good    mood = "\x1b[1;32m" // green
	caution mood = "\x1b[1;33m" // yellow
	bad     mood = "\x1b[1;31m" // red
)

// Text is wrapped at the width, but a sentence across a wide screen is hard to read.
const widestText = 100

// coloured and uncoloured stand in a line where a colour begins and ends. Texts cannot have them:
// they are escaped.
const (
	coloured   = "\x01"
	uncoloured = "\x02"
)

// layoutFor returns an empty layout for whatever reads from a writer.
func (env *Environment) layoutFor(w io.Writer) *layout {
	terminal := isTerminal(w)
	return &layout{
		width:  max(columns(w), leastColumns),
		colour: terminal && ansi && env.Getenv("NO_COLOR") == "" && env.Getenv("TERM") != "dumb",
	}
}

// String is the text. A line never begins with a command to a CI system.
func (l *layout) String() string {
	var out strings.Builder
	for _, line := range l.lines {
		out.WriteString(line + "\n")
	}
	return escapeCommands(out.String())
}

// begin separates a block from the one before.
func (l *layout) begin(kind block) {
	same := l.last == kind && kind != tableBlock && kind != titleBlock
	if titled := l.last == titleBlock && kind != titleBlock; l.last != noBlock && !same && !titled {
		l.lines = append(l.lines, "")
	}
	l.last = kind
}

// verdict says in a line what is true now: SUBJECT: STATE, DETAILS. The state has the colour.
func (l *layout) verdict(m mood, subject, state string, details ...string) {
	l.begin(verdictBlock)
	parts := []string{coloured + tameName(state) + uncoloured}
	for _, d := range details {
		if d != "" {
			parts = append(parts, tameName(d))
		}
	}
	text := strings.Join(parts, ", ")
	if subject != "" {
		text = tameName(subject) + ": " + text
	}
	on, off := string(m), "\x1b[0m"
	if !l.colour || m == plain {
		on, off = "", ""
	}
	for _, line := range wrapped(text, l.textWidth(), "  ") {
		l.lines = append(l.lines, strings.NewReplacer(coloured, on, uncoloured, off).Replace(line))
	}
}

// title stands above the table or text that follows.
func (l *layout) title(format string, args ...any) {
	l.begin(titleBlock)
	l.wrap(fmt.Sprintf(format, args...), "")
}

// text writes a sentence, or several.
func (l *layout) text(format string, args ...any) {
	l.begin(textBlock)
	l.wrap(fmt.Sprintf(format, args...), "  ")
}

// item writes a line below what was written last: of a list, or a fact. It is not wrapped, so that
// it can be copied.
func (l *layout) item(format string, args ...any) {
	l.lines = append(l.lines, "  "+tameName(fmt.Sprintf(format, args...)))
}

// missing names something that an agent would not find.
func (l *layout) missing(format string, args ...any) {
	l.begin(missingBlock)
	l.wrap("missing: "+fmt.Sprintf(format, args...), "  ")
}

// fact writes an item that is a name and a value. The value moves to a line of its own if both are
// too long for one.
func (l *layout) fact(name, value string) {
	if columnsOf(gap+name+" "+value) > l.width {
		l.item("%s", name)
		name = " "
	}
	l.item("%s", name+" "+value)
}

// note writes a remark.
func (l *layout) note(format string, args ...any) {
	if !l.quiet {
		l.begin(noteBlock)
		l.wrap("note: "+fmt.Sprintf(format, args...), "  ")
	}
}

// warning writes what --quiet shows too.
func (l *layout) warning(format string, args ...any) {
	l.begin(noteBlock)
	l.wrap("warning: "+fmt.Sprintf(format, args...), "  ")
}

// next says what to do now, and with which commands.
func (l *layout) next(what string, commands ...string) { l.step("next: "+what, commands) }

// or says what can be done in the place of the step before.
func (l *layout) or(what string, commands ...string) { l.step("or: "+what, commands) }

func (l *layout) step(what string, commands []string) {
	if l.quiet {
		return
	}
	l.begin(nextBlock)
	l.wrap(what, "  ")
	for _, c := range commands {
		l.command(c)
	}
}

// command writes a command line that works as it stands. It is broken where a shell can read on.
func (l *layout) command(command string) {
	line := "  "
	for _, part := range commandParts(tameName(command)) {
		switch {
		case strings.TrimSpace(line) == "":
			line += part
		case columnsOf(line)+1+columnsOf(part)+len(` \`) > l.width && runtime.GOOS != "windows":
			l.lines = append(l.lines, line+` \`)
			line = "    " + part
		default:
			line += " " + part
		}
	}
	l.lines = append(l.lines, line)
}

// raw writes a document as it is, but escaped.
func (l *layout) raw(text string) {
	if text != "" {
		l.lines = append(l.lines, strings.Split(strings.TrimSuffix(tame(text), "\n"), "\n")...)
		l.last = noBlock
	}
}

func (l *layout) textWidth() int { return min(l.width, widestText) }

func (l *layout) wrap(text, indent string) {
	l.lines = append(l.lines, wrapped(oneLine(text), l.textWidth(), indent)...)
}

// column is one of a table.
type column struct {
	heading string
	right   bool // aligned
	// least is how narrow cells may be, which then are broken at blanks; 0 if they are not broken.
	least int
	// named says that a cell on a line of its own begins with the heading.
	named bool
}

// word is a column of cells that are not broken, and number one of figures. Cells of prose, sentences,
// and phrase, a few words, may be broken at blanks.
func word(heading string) column   { return column{heading: heading} }
func number(heading string) column { return column{heading: heading, right: true} }
func prose(heading string) column  { return column{heading: heading, least: 24} }
func phrase(heading string) column { return column{heading: heading, least: 12} }

// named is a column of words that need their heading to be understood.
func named(heading string) column { return column{heading: heading, named: true} }

const gap = "  " // between columns

// table writes rows below headings. Empty columns are left out. If the rest is too wide, cells are
// broken at blanks first. Then the widest columns are moved to lines of their own, below each row and
// without a heading, until the others fit. Nothing is cut. A row of a single cell is a line across
// all columns: it stands as it is above or below the rows that it is about.
func (l *layout) table(columns []column, rows [][]string) {
	across := func(row []string) bool { return len(row) < len(columns) }
	cells := make([][]string, len(rows)+1) // [row][column]
	var kept []column
	for i, c := range columns {
		if !slices.ContainsFunc(rows, func(row []string) bool { return !across(row) && row[i] != "" }) {
			continue
		}
		kept = append(kept, c)
		cells[0] = append(cells[0], c.heading)
		for n, row := range rows {
			if !across(row) {
				cells[n+1] = append(cells[n+1], tameName(row[i]))
			}
		}
	}
	if len(kept) == 0 && !slices.ContainsFunc(rows, across) {
		return
	}
	l.begin(tableBlock)
	widths, lines, headed := l.widths(kept, cells)
	for n, row := range cells {
		if len(row) == 0 {
			if n > 0 {
				l.lines = append(l.lines, tameName(rows[n-1][0]))
			}
			continue
		}
		for i, line := range lines {
			indent := ""
			if i > 0 {
				indent = gap
			}
			if n > 0 || i < headed {
				l.cells(kept, widths, row, line, indent, i >= headed)
			}
		}
	}
}

// widths are those of the columns: of the widest cell, or less if it may be broken and its line is
// too short. Lines say which columns stand in which line of a row. The first of them are headed.
func (l *layout) widths(columns []column, cells [][]string) (widths []int, lines [][]int, headed int) {
	least, widest := make([]int, len(columns)), make([]int, len(columns))
	for i, c := range columns {
		for _, row := range cells {
			if len(row) == 0 {
				continue
			}
			widest[i] = max(widest[i], columnsOf(row[i]))
			for _, w := range strings.Fields(row[i]) {
				least[i] = max(least[i], columnsOf(w)) // a longer word would stick out
			}
		}
		if least[i] = max(least[i], c.least); c.least == 0 {
			least[i] = widest[i]
		}
		least[i] = min(least[i], widest[i])
	}
	lines, headed = l.arrange(least, widest)
	widths = least
	for _, line := range lines {
		room := l.width - wide(least, line)
		for _, i := range line {
			more := min(widest[i]-least[i], max(room, 0))
			widths[i], room = widths[i]+more, room-more
		}
	}
	return widths, lines, headed
}

// arrange says which columns stand in which line of a row, and how many of the lines have headings.
func (l *layout) arrange(least, widest []int) (lines [][]int, headed int) {
	var first, moved []int
	for i := range least {
		first = append(first, i)
	}
	for len(first) > 1 && wide(least, first) > l.width {
		at := 0
		for n, i := range first {
			if widest[i] >= widest[first[at]] {
				at = n
			}
		}
		if at == 0 { // it stays, and the others stand below it
			return append([][]int{first[:1], first[1:]}, single(moved)...), 2
		}
		moved = append(moved, first[at])
		first = slices.Delete(first, at, at+1)
	}
	return append([][]int{first}, single(moved)...), 1
}

// wide is how wide some columns are together.
func wide(widths, columns []int) int {
	all := -len(gap)
	for _, i := range columns {
		all += widths[i] + len(gap)
	}
	return all
}

// single returns a line for each column.
func single(columns []int) (lines [][]int) {
	slices.Sort(columns)
	for _, i := range columns {
		lines = append(lines, []int{i})
	}
	return lines
}

// cells writes some cells of a row side by side. Those that are broken have several lines.
func (l *layout) cells(columns []column, widths []int, row []string, which []int, indent string, alone bool) {
	broken, most := make([][]string, len(row)), 1
	for _, i := range which {
		name := ""
		if alone && columns[i].named && row[i] != "" {
			name = strings.ToLower(columns[i].heading) + " "
		}
		broken[i] = []string{row[i]}
		if columns[i].least > 0 {
			broken[i] = wrapped(row[i], min(widths[i], l.width-len(indent)-len(name)), "")
		}
		broken[i][0] = name + broken[i][0]
		most = max(most, len(broken[i]))
	}
	for n := range most {
		line := indent
		for at, i := range which {
			text := ""
			if n < len(broken[i]) {
				text = broken[i][n]
			}
			blanks := strings.Repeat(" ", max(widths[i]-columnsOf(text), 0))
			if columns[i].right && (at > 0 || indent == "") {
				text = blanks + text
			} else {
				text += blanks
			}
			line += text + gap
		}
		if line = strings.TrimRight(line, " "); line != "" {
			l.lines = append(l.lines, line)
		}
	}
}

// factNames is how wide the names of facts are.
const factNames = len("stopped by")

// record writes a heading, and below it facts with their names.
func (l *layout) record(heading string, facts ...[2]string) {
	l.begin(recordBlock)
	l.wrap(heading, "    ")
	indent := strings.Repeat(" ", len(gap)+factNames+len(gap))
	for _, f := range facts {
		for i, line := range wrapped(oneLine(f[1]), l.textWidth()-len(indent), "") {
			if i == 0 {
				line = (gap + f[0] + indent)[:len(indent)] + line
			} else {
				line = indent + line
			}
			l.lines = append(l.lines, line)
		}
	}
}

// wrapped breaks a text at blanks. All lines but the first are indented. A word that is too long
// has a line of its own.
func wrapped(text string, width int, indent string) []string {
	return wrappedPieces(strings.Fields(text), width, indent)
}

func wrappedPieces(pieces []string, width int, indent string) (lines []string) {
	line, empty := "", true
	for _, w := range pieces {
		if !empty && columnsOf(line)+1+columnsOf(w) > width {
			lines = append(lines, line)
			line, empty = indent, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+w, false
	}
	return append(lines, line)
}

// commandParts splits a command line where it can be broken. A flag stays with its value.
func commandParts(command string) (parts []string) {
	quote, begin := rune(0), 0
	var words []string
	for i, r := range command {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		case quote == 0 && r == ' ':
			words = append(words, command[begin:i])
			begin = i + 1
		}
	}
	for _, w := range append(words, command[begin:]) {
		last := len(parts) - 1
		if w != "" && last >= 0 && !strings.HasPrefix(w, "-") && strings.HasPrefix(parts[last], "-") && !strings.ContainsAny(parts[last], " =") {
			parts[last] += " " + w
		} else if w != "" {
			parts = append(parts, w)
		}
	}
	return parts
}

// columnsOf is how many columns of a terminal a text takes.
func columnsOf(text string) int {
	return uniseg.StringWidth(text)
}
