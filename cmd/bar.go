package cmd

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

const (
	// leastColumns is the narrowest terminal that gets a bar.
	leastColumns = 30
	// The bar itself takes at least one part in leastBar of the terminal. The percentage and blanks
	// take besideBar columns.
	leastBar  = 6
	besideBar = 13
	// barSteps is the number of steps in which the bar moves.
	barSteps = 10000
)

// canDraw reports whether standard error is a terminal that is wide enough and can go back in a line.
func (env *Environment) canDraw() bool {
	return isTerminal(env.Stderr) && env.Getenv("TERM") != "dumb" && columns(env.Stderr) >= leastColumns
}

func isTerminal(w io.Writer) bool {
	f, ok := fileOf(w)
	return ok && term.IsTerminal(int(f.Fd()))
}

// fileOf returns the file that a writer writes to, if it is one.
func fileOf(w io.Writer) (*os.File, bool) {
	if within, ok := w.(*interruptible); ok {
		w = within.to
	}
	f, ok := w.(*os.File)
	return f, ok
}

// columns returns the width of a terminal, or 80 for other writers.
func columns(w io.Writer) int {
	if f, ok := fileOf(w); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 80
}

// bar is one progress bar for all transfers, with figures and file names. It fills the terminal,
// whose width may change.
type bar struct {
	out io.Writer
	// bar is nil until there is something to show. It has a length if measured.
	bar      *progressbar.ProgressBar
	measured bool
	began    time.Time // the activity
	drawn    time.Time
}

// draw draws the bar, at most ten times a second. A short preparation needs none.
func (b *bar) draw(m *meter) {
	if time.Since(b.drawn) < time.Second/10 || m.activity == "" && time.Since(m.began) < time.Second {
		return
	}
	b.drawn = time.Now()
	if measured := m.total > 0; b.bar == nil || b.measured != measured || b.began != m.began {
		b.clear()
		b.bar, b.measured, b.began = newBar(b.out, measured), measured, m.began
	}
	b.bar.Describe(barText(m, columns(b.out))) // before anything is drawn with the text for another width
	if b.measured {
		_ = b.bar.Set64(min(int64(float64(m.done)/float64(m.total)*barSteps), barSteps-1)) // at the end, the bar goes
	}
	// The cursor goes to the beginning of the line. So the terminal's ^C stays on this line, and
	// nothing remains if a narrower terminal breaks it.
	b.write(eraseBelow + "\r")
}

// newBar returns a bar without rates and times. The meter computes these, because lines without a
// terminal need them too.
func newBar(out io.Writer, measured bool) *progressbar.ProgressBar {
	options := []progressbar.Option{
		progressbar.OptionSetWriter(out),
		progressbar.OptionFullWidth(),
		progressbar.OptionShowDescriptionAtLineEnd(),
		progressbar.OptionSetSpinnerChangeInterval(0), // or it would have a goroutine that nothing ends
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionUseANSICodes(ansi),
	}
	steps := int64(-1)
	if measured {
		steps = barSteps
	}
	return progressbar.NewOptions64(steps, options...)
}

func (b *bar) clear() {
	if b.bar != nil {
		_ = b.bar.Clear()
		b.write(eraseBelow)
	}
	b.drawn = time.Time{}
}

// write writes text with a control sequence, if the terminal understands them.
func (b *bar) write(sequence string) {
	if ansi {
		_, _ = io.WriteString(b.out, sequence) // nobody could be told
	}
}

// ansi says whether terminals understand control sequences. Windows consoles do so only on request.
const ansi = runtime.GOOS != "windows"

// eraseBelow erases what follows the cursor (ECMA-48, ED).
const eraseBelow = "\x1b[J"

// barText returns the text beside the bar: as much as fits, the most important first.
func barText(m *meter, columns int) string {
	room := columns - besideBar - columns/leastBar
	var t barLine
	try := func(longer barLine) bool {
		if columnsOf(longer.String()) > room {
			return false
		}
		t = longer
		return true
	}
	if idle := time.Since(m.changed).Truncate(time.Second); idle >= everyLine {
		still := "nothing moved for " + seconds(idle)
		_ = try(barLine{figures: still}) && try(barLine{figures: m.waitsFor()}) && try(barLine{figures: m.waitsFor() + ", " + still})
		return t.String()
	}
	var figures []string
	add := func(figure string) {
		longer := t
		longer.figures = strings.Join(append([]string{figure}, figures...), ", ")
		if try(longer) {
			figures = append([]string{figure}, figures...)
		}
	}
	if left, told := m.left(); told {
		add(seconds(left) + " left")
	}
	if rate := m.rate(); rate > 0 {
		add(size(rate) + "/s")
	}
	add(m.amount())
	names := m.names()
	for most := mostOfName; len(names) > 0 && most >= leastOfName; most-- {
		if try(barLine{figures: t.figures, names: listed([]string{shortened(names[0], most)}, len(names))}) {
			break
		}
	}
	try(barLine{m.activityName(), t.figures, t.names})
	if n, of, told := m.filesDone(); told {
		try(barLine{t.doing, fmt.Sprintf("%s, %d of %s", t.figures, n, count(of, "file")), t.names})
	}
	for n := len(names); n > 0 && !try(barLine{t.doing, t.figures, listed(names[:n], len(names))}); n-- {
	}
	return t.String()
}

type barLine struct{ doing, figures, names string }

func (l barLine) String() string {
	text := strings.TrimPrefix(l.doing+" "+l.figures, " ")
	if l.names != "" {
		text += ": " + l.names
	}
	return text
}

// listed returns the names that fit, and the number of the others.
func listed(names []string, all int) string {
	text := strings.Join(names, ", ")
	if more := all - len(names); more > 0 {
		text += fmt.Sprintf(" +%d", more)
	}
	return text
}
