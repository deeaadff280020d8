package main

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
)

// entry is one of a tar file, whose header is written field by field, since no
// library writes what it should not.
type entry struct {
	name, link string
	kind       byte // as archive/tar has them; 0 is a file
	mode       int64
	body       string
	// size is what the header says, if not how long the body is: 12 bytes.
	size string
	// magic takes the place of "ustar\x0000".
	magic string
}

const block = 512

func file(name, body string) entry { return entry{name: name, body: body} }

func link(kind byte, name, to string) entry { return entry{name: name, kind: kind, link: to} }

// pax is a header that says more of the next entry, or, of kind g, of all.
func pax(kind byte, records ...string) entry {
	return entry{name: "PaxHeaders/0", kind: kind, body: strings.Join(records, "")}
}

// record is one of a PAX header, with the length that it should have.
func record(key, value string) string {
	n := len(key) + len(value) + 3
	for len(fmt.Sprint(n))+len(key)+len(value)+3 != n {
		n = len(fmt.Sprint(n)) + len(key) + len(value) + 3
	}
	return fmt.Sprintf("%d %s=%s\n", n, key, value)
}

func (e entry) header() []byte {
	h := make([]byte, block)
	copy(h[:100], e.name)
	copy(h[100:108], fmt.Sprintf("%07o", cmp.Or(e.mode, 0o755)))
	copy(h[108:116], "0000000")
	copy(h[116:124], "0000000")
	copy(h[124:136], cmp.Or(e.size, fmt.Sprintf("%011o", len(e.body))))
	copy(h[136:148], "00000000000")
	h[156] = cmp.Or(e.kind, '0')
	copy(h[157:257], e.link)
	copy(h[257:265], cmp.Or(e.magic, "ustar\x0000"))
	// The checksum is that of the header with spaces in its place.
	copy(h[148:156], "        ")
	var sum int
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

// tarOf writes a whole tar file.
func tarOf(all ...entry) []byte {
	var out bytes.Buffer
	for _, e := range all {
		out.Write(e.header())
		out.WriteString(e.body)
		out.Write(make([]byte, -len(e.body)&(block-1)))
	}
	return append(out.Bytes(), make([]byte, 2*block)...)
}
