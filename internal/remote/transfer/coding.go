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

// compressions maps the content codings that change a file's bytes (RFC 9110, section 8.4.1) to the
// extensions of files that are compressed that way themselves: servers name the coding of such files
// by mistake. Other values that servers send, such as aws-chunked, binary or utf-8, change no bytes.
var compressions = map[string][]string{
	"gzip": {".gz", ".tgz"}, "x-gzip": {".gz", ".tgz"},
	"bzip2": {".bz2", ".tbz2"}, "x-bzip2": {".bz2", ".tbz2"},
	"xz": {".xz", ".txz"}, "x-xz": {".xz", ".txz"},
	"zstd": {".zst", ".tzst"},
	"br":   {".br"}, "deflate": nil, "compress": {".Z"}, "x-compress": {".Z"},
}

// Coding describes the Content-Encoding of an answer.
type Coding struct {
	Named      string // the header field Content-Encoding, in printable characters; or empty
	Compressed bool   // the server compressed the file for this answer
	gzip       bool   // the coding is gzip, the only one that Decode decompresses
	packed     bool   // by its extension, the file itself has that compression
}

// CodingOf returns the coding of an answer, by its header fields and the file's extension.
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

// SizeCounts reports whether the Content-Length is the size of the file.
func (c Coding) SizeCounts() bool { return !c.Compressed && !c.gzip }

// Decode decompresses the body if the server names the coding gzip, as Go's client does for the agent
// (net/http, Transport.roundTrip). It leaves any other coding, such as x-gzip. Undone reports whether
// it decompresses.
//
// Some servers name the coding gzip for a .gz file that they send as it is. Decode then leaves the
// body. It tells by the content: decompressed, a .gz file is still gzip.
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

// ContentRange reads a header field Content-Range: bytes START-END/TOTAL (RFC 9110, section 14.4).
// Start and end are the offsets of the first and the last byte; total is -1 if unknown.
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
