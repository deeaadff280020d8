package transfer

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
)

// compressions are the content codings (RFC 9110, section 8.4.1) that make other
// bytes of a file, with the extensions of files that are so compressed
// themselves, for which servers name the coding wrongly. Whatever else servers
// name, as aws-chunked, binary or utf-8, changes nothing.
var compressions = map[string][]string{
	"gzip": {".gz", ".tgz"}, "x-gzip": {".gz", ".tgz"},
	"bzip2": {".bz2", ".tbz2"}, "x-bzip2": {".bz2", ".tbz2"},
	"xz": {".xz", ".txz"}, "x-xz": {".xz", ".txz"},
	"zstd": {".zst", ".tzst"},
	"br":   {".br"}, "deflate": nil, "compress": {".Z"}, "x-compress": {".Z"},
}

// Coding is what an answer says of how its body is coded.
type Coding struct {
	Named      string // the header field Content-Encoding, fit to be shown; or empty
	Compressed bool   // the body is not the file: the server compresses it
	gzip       bool   // the coding is gzip, the only one that is undone
	packed     bool   // by its name, the file itself has that compression
}

// CodingOf reads the header fields of an answer.
func CodingOf(resp *http.Response) Coding {
	named := strings.ToLower(strings.Join(resp.Header.Values("Content-Encoding"), ", "))
	c := Coding{Named: Printable(named, 60), gzip: strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip")}
	for one := range strings.SplitSeq(named, ",") {
		extensions, compressed := compressions[strings.TrimSpace(one)]
		switch {
		case !compressed:
		case hasExtension(resp, extensions):
			c.packed = true
		default:
			c.Compressed = true
		}
	}
	return c
}

// hasExtension reports whether the URL of an answer, or one that it redirected from,
// has one of some extensions.
func hasExtension(resp *http.Response, extensions []string) bool {
	for ; resp != nil; resp = resp.Request.Response {
		if slices.Contains(extensions, path.Ext(resp.Request.URL.Path)) {
			return true
		}
	}
	return false
}

// SizeCounts reports whether the length of a body is that of the file.
func (c Coding) SizeCounts() bool { return !c.Compressed && !c.gzip }

// Decode returns the body without the coding gzip, if the server names it, as
// Go's client does for the agent, whatever it was asked for; a coding of any
// other name, as x-gzip, is left alone (net/http, Transport.roundTrip). Undone says
// that there was one to undo.
//
// A file that is called .gz, and that what is undone is not, is named wrongly: the
// agent could not unpack what its client makes of it, but the file is whole.
func (r *Response) Decode(c Coding) (body io.Reader, undone bool, err error) {
	if !c.gzip {
		return r, false, nil
	}
	var seen bytes.Buffer
	whole := io.MultiReader(&seen, r)
	zr, err := gzip.NewReader(io.TeeReader(r, &seen))
	if err == io.EOF || err == gzip.ErrHeader && c.packed {
		return whole, false, nil
	}
	if err != nil {
		return whole, false, err
	}
	head := make([]byte, 2)
	n, err := io.ReadFull(zr, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return whole, false, err
	}
	if c.packed && !bytes.Equal(head[:n], []byte{0x1f, 0x8b}) {
		return whole, false, nil
	}
	zr, err = gzip.NewReader(whole)
	return zr, err == nil, err
}

// ContentRange says which bytes of a file an answer has: START-END/TOTAL (RFC 9110,
// section 14.4). End is the last byte; total is -1 if it is unknown.
func ContentRange(h http.Header) (start, end, total int64, ok bool) {
	s, ok := strings.CutPrefix(h.Get("Content-Range"), "bytes ")
	if !ok {
		return 0, 0, 0, false
	}
	span, size, _ := strings.Cut(s, "/")
	first, last, _ := strings.Cut(span, "-")
	start, err1 := strconv.ParseInt(first, 10, 64)
	end, err2 := strconv.ParseInt(last, 10, 64)
	total, err3 := strconv.ParseInt(size, 10, 64)
	if size == "*" {
		total, err3 = -1, nil
	}
	if errors.Join(err1, err2, err3) != nil || start < 0 || end < start || total >= 0 && end >= total {
		return 0, 0, 0, false
	}
	return start, end, total, true
}
