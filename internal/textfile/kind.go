package textfile

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// The kinds that callers tell from others.
const (
	Empty      = "empty"
	WebPage    = "a web page"
	LFSPointer = "a Git LFS pointer, not the file itself"
	JSON       = "JSON"
	XML        = "an XML document"
	PEM        = "a PEM file"
	Binary     = "binary data"
	// PlainText is any other text, OtherText in another encoding, such as Latin-1, and
	// Undecodable in one that [Decode] cannot read.
	PlainText   = "text"
	OtherText   = "text that is not UTF-8"
	Undecodable = "text in UTF-32 or in damaged UTF-16"
)

// SniffLen is how many bytes [Kind] needs to tell a [WebPage], an [LFSPointer] or a known
// format.
const SniffLen = 1024

var magic = []struct{ start, kind string }{
	{"\x1f\x8b", "gzip-compressed data"},
	{"PK\x03\x04", "a zip archive"},
	{"\xfd7zXZ\x00", "xz-compressed data"},
	{"BZh", "bzip2-compressed data"},
	{"\x28\xb5\x2f\xfd", "zstd-compressed data"},
	{"7z\xbc\xaf\x27\x1c", "a 7z archive"},
	{"\x7fELF", "a Linux program"},
	{"MZ", "a Windows program"},
	{"\xcf\xfa\xed\xfe", "a macOS program"},
	{"%PDF-", "a PDF document"},
	{"-----BEGIN ", PEM},
}

// lfsPointer begins what stands for a file of Git LFS (git-lfs, docs/spec.md).
const lfsPointer = "version https://git-lfs.github.com/spec/"

// Kind says what a document is instead of what it should be: "a web page", "JSON". It is [Empty]
// if there are only blanks, and [PlainText] if nothing more is known.
func Kind(data []byte) string {
	for _, m := range magic {
		if bytes.HasPrefix(data, []byte(m.start)) {
			return m.kind
		}
	}
	text, err := Decode(data)
	if err != nil {
		return Undecodable
	}
	trimmed := bytes.TrimSpace(text)
	switch {
	case len(trimmed) == 0:
		return Empty
	case bytes.HasPrefix(trimmed, []byte(lfsPointer)):
		return LFSPointer
	case isWebPage(trimmed):
		return WebPage
	case bytes.HasPrefix(trimmed, []byte("<?xml")):
		return XML
	case (trimmed[0] == '{' || trimmed[0] == '[') && json.Valid(trimmed):
		return JSON
	case bytes.ContainsFunc(text, isBinary):
		return Binary
	case !utf8.Valid(text):
		return OtherText
	}
	return PlainText
}

func isBinary(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\n\r\f\x1b", r) || r == 0x7f }

// pageStarts are tags that begin a web page, in lower case.
var pageStarts = []string{"<!doctype html", "<html", "<head", "<body", "<title", "<meta", "<script"}

// isWebPage reports whether a text is a page for people. XHTML begins as XML does.
func isWebPage(text []byte) bool {
	text = bytes.ToLower(text[:min(len(text), SniffLen)])
	for {
		text = bytes.TrimSpace(text)
		end := ""
		switch {
		case bytes.HasPrefix(text, []byte("<!--")):
			end = "-->"
		case bytes.HasPrefix(text, []byte("<?")):
			end = "?>"
		}
		_, after, found := bytes.Cut(text, []byte(end))
		if end == "" || !found {
			break
		}
		text = after
	}
	for _, start := range pageStarts {
		if bytes.HasPrefix(text, []byte(start)) {
			return true
		}
	}
	return false
}
