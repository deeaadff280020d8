package textfile

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf16"

	"gopkg.in/yaml.v3"
)

// utf16Text writes a text as Windows does, behind a byte order mark or none.
func utf16Text(s string, order binary.AppendByteOrder, mark bool) []byte {
	var out []byte
	if mark {
		out = order.AppendUint16(out, 0xFEFF)
	}
	for _, unit := range utf16.Encode([]rune(s)) {
		out = order.AppendUint16(out, unit)
	}
	return out
}

func TestDecode(t *testing.T) {
	t.Parallel()
	const lines = "eins ä €\r\nzwei 𝄞\r\n"
	const want = "eins ä €\nzwei 𝄞\n"
	for name, data := range map[string][]byte{
		"UTF-8":                        []byte(lines),
		"UTF-8 with a mark":            append([]byte{0xEF, 0xBB, 0xBF}, lines...),
		"UTF-16LE":                     utf16Text(lines, binary.LittleEndian, true),
		"UTF-16BE":                     utf16Text(lines, binary.BigEndian, true),
		"line ends of Unix":            []byte(want),
		"UTF-16BE with ends as Unix's": utf16Text(want, binary.BigEndian, true),
	} {
		if got, err := Decode(data); err != nil || string(got) != want {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	for name, order := range map[string]binary.AppendByteOrder{"LE": binary.LittleEndian, "BE": binary.BigEndian} {
		if got, err := Decode(utf16Text("plain\r\n", order, false)); err != nil || string(got) != "plain\n" {
			t.Errorf("UTF-16%s without a mark: %q %v", name, got, err)
		}
	}
	for name, data := range map[string]string{
		"UTF-32":                    "\xff\xfe\x00\x00a\x00\x00\x00",
		"UTF-32BE":                  "\x00\x00\xfe\xff\x00\x00\x00a",
		"half a character":          "\xff\xfea",
		"half a pair at the end":    "\xff\xfe\x34\xd8",
		"half a pair, then another": "\xff\xfe\x34\xd8a\x00",
		"the second half alone":     "\xff\xfe\x1e\xdda\x00",
	} {
		if got, err := Decode([]byte(data)); err == nil {
			t.Errorf("%s: %q is read", name, got)
		}
	}
	for name, data := range map[string]string{"nothing": "", "a return within a line": "a\rb\n", "Latin-1": "\xe4\n", "binary": "\x00\x01\x02\x03\x00\x00"} {
		if got, err := Decode([]byte(data)); err != nil || string(got) != data {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}

func TestKind(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		"":                                Empty,
		" \r\n\t":                         Empty,
		"\xef\xbb\xbf\r\n":                Empty,
		"<!DOCTYPE html><title>x</title>": WebPage,
		"\n  <HTML lang=de>":              WebPage,
		"\xef\xbb\xbf<html>":              WebPage,
		"<!-- a -->\n<!-- b --><html>":    WebPage,
		"<?xml version='1.0'?><html>":     WebPage,
		"<!-- never closed <html>":        "text",
		"<?xml version='1.0'?><Error/>":   "an XML document",
		`{"errors": [{"status": 404}]}`:   "JSON",
		`[1]`:                             "JSON",
		`{"half": `:                       "text",
		"\x1f\x8b\x08":                    "gzip-compressed data",
		"PK\x03\x04":                      "a zip archive",
		"\x7fELF\x02":                     "a Linux program",
		"-----BEGIN CERTIFICATE-----\n":   "a PEM file",
		"a\x00b":                          "binary data",
		"\xe4\xf6":                        OtherText,
		"\xff\xfe\x00\x00a\x00\x00\x00":   Undecodable,
		"\xff\xfea":                       Undecodable,
		"not found\n":                     "text",
		string(utf16Text("<html>", binary.LittleEndian, true)):                                                       WebPage,
		"version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("a", 64) + "\nsize 12345\n":       LFSPointer,
		"version https://git-lfs.github.com/spec/v1\r\noid sha256:" + strings.Repeat("a", 64) + "\r\nsize 12345\r\n": LFSPointer,
	} {
		if got := Kind([]byte(data)); got != want {
			t.Errorf("%.60q: %s, want %s", data, got, want)
		}
	}
}

// hex reads as digests do: from a text.
type hex [4]byte

func (h *hex) UnmarshalText([]byte) error { return nil }

func TestJSONError(t *testing.T) {
	t.Parallel()
	type inner struct {
		Size  int64    `json:"size"`
		Sum   hex      `json:"sum"`
		Names []string `json:"names"`
		On    bool     `json:"on"`
		Ratio float64  `json:"ratio"`
	}
	type outer struct {
		Version int     `json:"version"`
		Items   []inner `json:"items"`
	}
	for data, want := range map[string]string{
		"[1]":                              "it is a list, not an object (at byte 1)",
		`"secret"`:                         "it is a string, not an object (at byte 8)",
		"{\n  \"version\": \"secret\"\n}":  "its version is a string, not a whole number (in line 2)",
		`{"version": 1.5}`:                 "its version is a number, not a whole number (at byte 15)",
		`{"items": {}}`:                    "its items is an object, not a list (at byte 11)",
		`{"items": [{"size": true}]}`:      "its items.size is true or false, not a whole number (at byte 24)",
		`{"items": [{"sum": 5}]}`:          "its items.sum is a number, not a string (at byte 20)",
		`{"items": [{"on": "secret"}]}`:    "its items.on is a string, not true or false (at byte 26)",
		`{"items": [{"ratio": []}]}`:       "its items.ratio is a list, not a number (at byte 22)",
		`{"items": [{"names": ["a", 5]}]}`: "its items.names is a number, not a string (at byte 28)",
		`{"version": secret}`:              "it is not JSON at byte 13",
		"{\n\"version\": 1,\n}\n":          "it is not JSON in line 3",
		`{"version": 1`:                    "it ends before the document is complete",
		"":                                 "it is empty",
		"<html>":                           "it is a web page, not JSON",
		"version https://git-lfs.github.com/spec/v1\n": "it is a Git LFS pointer, not the file itself, not JSON",
		`{"other": 1}`: `unknown field "other"`,
	} {
		dec := json.NewDecoder(strings.NewReader(data))
		dec.DisallowUnknownFields()
		err := dec.Decode(new(outer))
		if err == nil {
			t.Errorf("%s is read", data)
			continue
		}
		got := JSONError([]byte(data), err).Error()
		if got != want {
			t.Errorf("%s: %q, want %q", data, got, want)
		}
		if strings.Contains(got, "secret") {
			t.Errorf("%q shows a value", got)
		}
	}
	var any map[string]any
	if got := YAMLError(yaml.Unmarshal([]byte("name: {{ .secret }}"), &any)).Error(); got != "yaml: a mapping or a list is in the place of a key; if the file has {{ }}, fill in the template first, or put {{ }} in quotes" {
		t.Errorf("of a template: %q", got)
	}
}

func TestYAMLError(t *testing.T) {
	t.Parallel()
	type inner struct {
		Size int               `yaml:"size"`
		On   bool              `yaml:"on"`
		Map  map[string]string `yaml:"map"`
		List []string          `yaml:"list"`
		Rate *float64          `yaml:"rate"`
	}
	type outer struct {
		Name  string  `yaml:"name"`
		Items []inner `yaml:"items"`
	}
	for data, want := range map[string]string{
		"secret":                        "line 1: expected a mapping, but there is a string",
		"- a":                           "line 1: expected a mapping, but there is a list",
		"name: [a]":                     "line 1: expected a string, but there is a list",
		"name:\n  a: b":                 "line 2: expected a string, but there is a mapping",
		"items: 5":                      "line 1: expected a list, but there is a number",
		"items: [{size: secret}]":       "line 1: expected a whole number, but there is a string",
		"items: [{on: secret}]":         "line 1: expected true or false, but there is a string",
		"items: [{map: 2001-01-01}]":    "line 1: expected a mapping, but there is a date",
		"items: [{list: true}]":         "line 1: expected a list, but there is true or false",
		"items: [{rate: secret}]":       "line 1: expected a number, but there is a string",
		"items: [{size: a}, {size: b}]": "line 1: expected a whole number, but there is a string\nline 1: expected a whole number, but there is a string",
		"name: a\nname: b":              `line 2: the key "name" is already in line 1`,
		"name: !!int secret":            "yaml: a string is marked as a number",
		"name: *secret":                 "yaml: an alias has no anchor; put a string that begins with * in quotes",
		"name: [":                       "yaml: line 1: did not find expected node content",
	} {
		err := yaml.Unmarshal([]byte(data), new(outer))
		if err == nil {
			t.Errorf("%s is read", data)
			continue
		}
		got := YAMLError(err).Error()
		if got != want {
			t.Errorf("%s: %q, want %q", data, got, want)
		}
		if strings.Contains(got, "secret") {
			t.Errorf("%q shows a value", got)
		}
	}
}
