//go:build linux

package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"time"
)

// The sizes of a character's cell and of the margin around the terminal, in pixels.
const (
	cellWidth  = 8.4
	cellHeight = 19
	baseline   = 14
	margin     = 16
)

// rest is how long the end stays before the recording begins again.
const rest = 6 * time.Second

// picture is a drawing of a screen.
type picture struct {
	screen *screen
	// theme is light or dark, or empty for what the reader prefers.
	theme string
	// rows is how many rows are seen at once.
	rows int
	// still draws how the screen looks at end, without motion.
	still bool
	end   time.Duration

	// text has what is seen in the end, and motion what is seen before only; rules say when.
	text, motion, rules bytes.Buffer
	// names has the classes of the elements that are seen in the same span of time.
	names map[string]string
}

const (
	light = "--back:#f6f8fa;--edge:#d1d9e0;--text:#1f2328;--dim:#59636e;--red:#d1242f;--green:#1a7f37;--yellow:#9a6700;--blue:#0969da;--magenta:#8250df;--cyan:#1b7c83"
	dark  = "--back:#0d1117;--edge:#3d444d;--text:#e6edf3;--dim:#9198a1;--red:#ff7b72;--green:#3fb950;--yellow:#d29922;--blue:#58a6ff;--magenta:#bc8cff;--cyan:#39c5cf"
)

func (p *picture) svg() []byte {
	if p.end == 0 {
		p.end = p.screen.now + rest
	}
	p.names = map[string]string{}
	for i := range p.screen.rows {
		p.row(i)
	}
	p.scroll()
	width, height := columns*cellWidth+2*margin, p.rows*cellHeight+2*margin
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %d" width="%g" height="%d" role="img" aria-label="Recording of a terminal">`+"\n<style>\n", width, height, width, height)
	switch p.theme {
	case "light":
		fmt.Fprintf(&out, "svg{%s}\n", light)
	case "dark":
		fmt.Fprintf(&out, "svg{%s}\n", dark)
	default:
		fmt.Fprintf(&out, "svg{%s}\n@media(prefers-color-scheme:dark){svg{%s}}\n", light, dark)
	}
	out.WriteString(`text{font:14px ui-monospace,SFMono-Regular,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace;fill:var(--text);white-space:pre}
.back{fill:var(--back);stroke:var(--edge)}.cover{fill:var(--back)}.cursor{fill:var(--dim)}.bold,.command{font-weight:600}
`)
	for _, look := range []string{"dim", "red", "green", "yellow", "blue", "magenta", "cyan"} {
		if strings.Contains(p.text.String(), look) {
			fmt.Fprintf(&out, ".%s{fill:var(--%s)}", look, look)
		}
	}
	out.WriteString("\n@media(prefers-reduced-motion:reduce){*{animation:none!important}}\n")
	out.Write(p.rules.Bytes())
	fmt.Fprintf(&out, "</style>\n<rect class=\"back\" x=\".5\" y=\".5\" width=\"%g\" height=\"%d\" rx=\"8\"/>\n", width-1, height-1)
	fmt.Fprintf(&out, "<svg x=\"%d\" y=\"%d\" width=\"%g\" height=\"%d\">\n<g class=\"scroll\">\n", margin, margin, columns*cellWidth, p.rows*cellHeight)
	out.Write(p.text.Bytes())
	out.WriteString(motion)
	out.Write(p.motion.Bytes())
	out.WriteString("</g>\n</g>\n</svg>\n</svg>\n")
	return out.Bytes()
}

// motion begins what is not seen in the end.
const motion = "<g class=\"motion\">\n"

// row draws what a row shows, one version over the other.
func (p *picture) row(i int) {
	r := p.screen.rows[i]
	for n, v := range r.versions {
		until := p.end
		if n+1 < len(r.versions) {
			until = r.versions[n+1].from
		}
		switch {
		case v.text() == "":
		case p.still:
			if v.from <= p.end && p.end <= until {
				p.line(&p.text, i, v, "")
			}
		case until < p.end:
			p.line(&p.motion, i, v, p.during(v.from, until))
		default:
			p.line(&p.text, i, v, p.during(v.from, until))
		}
		if r.keys > 0 && !p.still {
			p.typing(i, v, r.keys)
		}
	}
}

// line draws a row. Its length is given, since fonts differ.
func (p *picture) line(out *bytes.Buffer, i int, v version, class string) {
	text := []rune(v.text())
	indent := 0
	for text[indent] == ' ' {
		indent++
	}
	if class != "" {
		class = fmt.Sprintf(" class=%q", class)
	}
	fmt.Fprintf(out, `<text%s x="%.5g" y="%d" textLength="%.5g" xml:space="preserve">`, class, float64(indent)*cellWidth, i*cellHeight+baseline, float64(len(text)-indent)*cellWidth)
	for at := indent; at < len(text); {
		look, next := v.cells[at].look, at
		for next < len(text) && v.cells[next].look == look {
			next++
		}
		if look != "" {
			fmt.Fprintf(out, "<tspan class=%q>", look)
		}
		_ = xml.EscapeText(out, []byte(string(text[at:next]))) // a buffer takes everything
		if look != "" {
			out.WriteString("</tspan>")
		}
		at = next
	}
	out.WriteString("</text>\n")
}

// typing draws a cover over a row that was typed, which goes away key by key.
func (p *picture) typing(i int, v version, keys int) {
	until := v.from + time.Duration(keys)*keystroke
	seen := p.during(v.from, until)
	move := fmt.Sprintf("t%d", i)
	before := float64(len(v.cells)-keys) * cellWidth
	fmt.Fprintf(&p.rules, "@keyframes %s{0%%,%s{transform:translateX(%.5gpx);animation-timing-function:steps(%d)}%s,100%%{transform:translateX(%.5gpx)}}\n",
		move, p.percent(v.from), before, keys, p.percent(until), before+float64(keys)*cellWidth)
	fmt.Fprintf(&p.rules, ".%s{animation:%s %s linear infinite}\n", move, move, p.length())
	fmt.Fprintf(&p.motion, `<g class="%s"><g class="%s"><rect class="cover" y="%d" width="%g" height="%d"/><rect class="cursor" y="%d" width="%g" height="%d"/></g></g>`+"\n",
		seen, move, i*cellHeight, columns*cellWidth, cellHeight, i*cellHeight+1, cellWidth, cellHeight-2)
}

// during returns a class of what is seen from one time until another. Without motion, only what
// stays is seen.
func (p *picture) during(from, until time.Duration) string {
	key := p.percent(from) + p.percent(until)
	if name := p.names[key]; name != "" {
		return name
	}
	name := fmt.Sprintf("d%d", len(p.names))
	p.names[key] = name
	if until == p.end {
		fmt.Fprintf(&p.rules, "@keyframes %s{0%%{visibility:hidden}%s,100%%{visibility:visible}}\n.%s{animation:%s %s step-end infinite}\n", name, p.percent(from), name, name, p.length())
	} else {
		fmt.Fprintf(&p.rules, "@keyframes %s{0%%{visibility:hidden}%s{visibility:visible}%s,100%%{visibility:hidden}}\n.%s{visibility:hidden;animation:%s %s step-end infinite}\n", name, p.percent(from), p.percent(until), name, name, p.length())
	}
	return name
}

func (p *picture) percent(at time.Duration) string {
	return fmt.Sprintf("%.2f%%", 100*at.Seconds()/p.end.Seconds())
}

func (p *picture) length() string { return fmt.Sprintf("%.1fs", p.end.Seconds()) }

// scroll moves the rows up where there are more than are seen at once.
func (p *picture) scroll() {
	if p.still || len(p.screen.rows) <= p.rows {
		return
	}
	var steps []string
	times := make([]time.Duration, len(p.screen.rows))
	for i, r := range p.screen.rows {
		times[i] = p.end
		if len(r.versions) > 0 {
			times[i] = r.versions[0].from
		}
	}
	for i := len(times) - 2; i >= 0; i-- { // an empty row is there before the next one
		times[i] = min(times[i], times[i+1])
	}
	for i := p.rows; i < len(times); i++ {
		if i+1 < len(times) && p.percent(times[i]) == p.percent(times[i+1]) {
			continue // there is one step for rows that come together
		}
		steps = append(steps, fmt.Sprintf("%s{transform:translateY(%dpx)}", p.percent(times[i]), -(i-p.rows+1)*cellHeight))
	}
	end := -(len(times) - p.rows) * cellHeight
	fmt.Fprintf(&p.rules, "@keyframes scroll{0%%{transform:translateY(0)}%s100%%{transform:translateY(%dpx)}}\n.scroll{transform:translateY(%dpx);animation:scroll %s step-end infinite}\n",
		strings.Join(steps, ""), end, end, p.length())
}
