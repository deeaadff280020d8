// Package textfile reads text files that people write. It decodes encodings, recognizes other kinds
// of files, limits YAML, and rewrites the errors of JSON and YAML decoders. It does no I/O.
package textfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// The byte order marks of encodings (Unicode 16, section 23.8).
var (
	markUTF8    = []byte{0xEF, 0xBB, 0xBF}
	markUTF16LE = []byte{0xFF, 0xFE}
	markUTF16BE = []byte{0xFE, 0xFF}
	markUTF32LE = []byte{0xFF, 0xFE, 0, 0}
	markUTF32BE = []byte{0, 0, 0xFE, 0xFF}
)

// ErrEncoding says that a document is in UTF-32, or in UTF-16 that is damaged.
var ErrEncoding = errors.New("its text encoding is not supported: save it as UTF-8")

// Decode returns a document in UTF-8 with line feeds alone and without a byte order mark,
// whatever an editor or PowerShell made of it: UTF-8 or UTF-16 with a mark, UTF-16 without, CR
// LF. All else comes back as it is. The error is [ErrEncoding].
func Decode(data []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(data, markUTF32LE), bytes.HasPrefix(data, markUTF32BE):
		return nil, ErrEncoding // in UTF-16, the marks would begin a text with a zero character
	case bytes.HasPrefix(data, markUTF8):
		data = data[len(markUTF8):]
	case bytes.HasPrefix(data, markUTF16LE):
		return fromUTF16(data[len(markUTF16LE):], binary.LittleEndian)
	case bytes.HasPrefix(data, markUTF16BE):
		return fromUTF16(data[len(markUTF16BE):], binary.BigEndian)
	case zerosAt(data, 1):
		return fromUTF16(data, binary.LittleEndian)
	case zerosAt(data, 0):
		return fromUTF16(data, binary.BigEndian)
	}
	return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), nil
}

// zerosAt reports whether data begins like ASCII in UTF-16: each pair has a zero at one place.
func zerosAt(data []byte, place int) bool {
	const pairs = 8
	if len(data) < 4 || len(data)%2 != 0 {
		return false
	}
	for i := 0; i+1 < min(len(data), 2*pairs); i += 2 {
		if data[i+place] != 0 || data[i+1-place] == 0 {
			return false
		}
	}
	return true
}

func fromUTF16(data []byte, order binary.ByteOrder) ([]byte, error) {
	if len(data)%2 != 0 {
		return nil, ErrEncoding
	}
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); i += 2 {
		r := rune(order.Uint16(data[i:]))
		if utf16.IsSurrogate(r) {
			if i += 2; i >= len(data) {
				return nil, ErrEncoding
			}
			if r = utf16.DecodeRune(r, rune(order.Uint16(data[i:]))); r == utf8.RuneError {
				return nil, ErrEncoding
			}
		}
		out = utf8.AppendRune(out, r)
	}
	return bytes.ReplaceAll(out, []byte("\r\n"), []byte("\n")), nil
}
