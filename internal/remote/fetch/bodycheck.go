package fetch

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// checkBody checks an answer without an expected digest, and returns its body. It refuses a file
// that the server compressed, an answer without an end that can be checked, and a web page. Undone
// says that the body was decompressed, sized that the request has an expected size.
func checkBody(resp *transfer.Response, body io.Reader, undone, sized bool) (io.Reader, error) {
	if coding := transfer.CodingOf(resp.Response); coding.Compressed && !undone && resp.ContentLength != 0 {
		return nil, unclear(fmt.Errorf("the server compresses the file (Content-Encoding: %s), though the request forbids it", coding.Named),
			"turn compression of this file off in the server")
	}
	// Without a length, a broken connection looks like the end of the body (RFC 9112, section 6.3).
	if !sized && !undone && resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 && resp.ProtoMajor == 1 {
		return nil, unclear(errors.New("the server sends no length, so a broken download would not be noticed"),
			"make the server send Content-Length or a chunked body; for a plugin or a dependency, a checksum in the index is enough")
	}
	head, err := io.ReadAll(io.LimitReader(body, textfile.SniffLen))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	if saysPage(resp) && strings.HasPrefix(http.DetectContentType(head), "text/html") || textfile.Kind(head) == textfile.WebPage {
		return nil, unclear(errWebPage, "open the URL in a browser on this machine: it may show the page of a proxy or a login")
	}
	return io.MultiReader(bytes.NewReader(head), body), nil
}

// decode decompresses an answer. If the error is [errMiscoded], the body is as the server sent it.
func decode(resp *transfer.Response) (body io.Reader, undone bool, err error) {
	body, undone, err = resp.Decode(transfer.CodingOf(resp.Response))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = &transfer.TruncatedError{Total: -1}
	case errors.Is(err, gzip.ErrHeader):
		err = errMiscoded
	}
	return body, undone, err
}

// errMiscoded means that a body is not compressed though the server says so. The agent refuses such
// an answer.
var errMiscoded = unclear(errors.New("the server sends Content-Encoding: gzip, but the file is not compressed"), "remove Content-Encoding from the server's answers for this file")

var errWebPage = errors.New("the server answers with a web page instead of the file")

// HintLFS is the hint for a pointer file of Git LFS.
const HintLFS = "use the URL of the file itself, on GitHub https://media.githubusercontent.com/media/OWNER/REPOSITORY/REF/PATH; in a repository on this machine, run: git lfs pull"

// checkContent refuses a pointer file of Git LFS, whatever its digest. To a mismatch, it adds what the
// content is if it is a web page, JSON or XML.
func (d *download) checkContent(mismatch error) error {
	var head []byte
	if f, err := os.Open(d.in.Path()); err == nil {
		head, _ = io.ReadAll(io.LimitReader(f, textfile.SniffLen))
		f.Close()
	}
	kind := textfile.Kind(head)
	if kind == textfile.LFSPointer {
		return transfer.Permanent(unclear(errors.New("the file is "+kind), HintLFS))
	}
	if fault.KindOf(mismatch) != fault.Integrity || !slices.Contains([]string{textfile.WebPage, textfile.JSON, textfile.XML}, kind) {
		return mismatch
	}
	return fault.New(fault.Integrity, "%w; the server sent %s", mismatch, kind)
}

// largeError means that a file is larger than --max-size.
type largeError struct{ error }

// tooLarge returns the error for a file of size bytes, or of -1 if unknown. most is the limit.
func tooLarge(size, most int64) error {
	reason := fmt.Errorf("the file has %d bytes, more than the limit of %d", size, most)
	if size < 0 {
		reason = fmt.Errorf("the file has more bytes than the limit of %d", most)
	}
	const gib = 1 << 30
	return transfer.Permanent(unclear(&largeError{reason},
		fmt.Sprintf("if this size is right, raise the limit: --max-size %dGiB", (max(size, 2*most)+gib-1)/gib)))
}

// unclear returns the error for content that cannot be used.
func unclear(reason error, hint string) error {
	return fault.New(fault.Upstream, "%w", &unusable{reason}).WithHint("%s", hint)
}
