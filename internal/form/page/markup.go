package page

import (
	"fmt"
	"html"
	"strings"
	"unicode"
)

// markup is HTML. Only [el] makes any, so that a string, wherever it comes from, stays text or the
// value of an attribute.
type markup string

// attribute is one of an element.
type attribute struct{ name, value string }

func id(value string) attribute    { return attribute{"id", value} }
func class(value string) attribute { return attribute{"class", value} }

// el makes an element of attributes, markup, and text, which is escaped.
func el(name string, parts ...any) markup {
	var attributes, content strings.Builder
	for _, part := range parts {
		switch p := part.(type) {
		case attribute:
			if p.value != "" {
				attributes.WriteString(" " + p.name + `="` + escape(p.value) + `"`)
			}
		case markup:
			content.WriteString(string(p))
		case []markup:
			for _, m := range p {
				content.WriteString(string(m))
			}
		default:
			content.WriteString(escape(fmt.Sprint(p)))
		}
	}
	start := "<" + name + attributes.String() + ">"
	switch name {
	case "meta", "link", "br":
		return markup(start)
	}
	return markup(start + content.String() + "</" + name + ">")
}

// block is [el] followed by a line break.
func block(name string, parts ...any) markup { return el(name, parts...) + "\n" }

// escape makes text fit for any place in HTML. Invisible characters are replaced.
func escape(text string) string {
	return html.EscapeString(strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text))
}

// column is one of a table.
type column struct{ title, class string }

// table makes a table of rows. Each begins with what it is about. On a phone, a row is a list with
// the titles of columns as labels. For screen readers, the roles keep it a table.
func table(kind string, columns []column, rows [][]any) markup {
	var titles, body []markup
	for _, c := range columns {
		titles = append(titles, el("th", attribute{"role", "columnheader"}, attribute{"scope", "col"}, class(c.class), c.title))
	}
	for _, cells := range rows {
		row := []markup{el("th", attribute{"role", "rowheader"}, attribute{"scope", "row"}, cells[0])}
		for i, cell := range cells[1:] {
			c := columns[i+1]
			row = append(row, el("td", attribute{"role", "cell"}, class(c.class), attribute{"data-label", c.title}, cell))
		}
		body = append(body, block("tr", attribute{"role", "row"}, row))
	}
	rowgroup := attribute{"role", "rowgroup"}
	return block("table", attribute{"role", "table"}, class(kind), markup("\n"),
		block("thead", rowgroup, el("tr", attribute{"role", "row"}, titles)), block("tbody", rowgroup, markup("\n"), body))
}
