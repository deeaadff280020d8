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

// checkBody returns the body of content whose digest nobody gave, and refuses what would
// be stored as something that it is not. Sized says that the size is known at least.
func checkBody(resp *transfer.Response, body io.Reader, undone, sized bool) (io.Reader, error) {
	if coding := transfer.CodingOf(resp.Response); coding.Compressed && !undone && resp.ContentLength != 0 {
		return nil, unclear(fmt.Errorf("the server compresses the file (%s) although it was asked not to", coding.Named),
			"have it send the file as it is")
	}
	// Where the end of the connection is the end of the body, a broken one
	// looks the same (RFC 9112, section 6.3).
	if !sized && !undone && resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 && resp.ProtoMajor == 1 {
		return nil, unclear(errors.New("the server does not say how long the file is, so that a part could not be told from the whole"),
			"have the server send Content-Length or a chunked body; for a plugin or a dependency, a checksum in the index does too")
	}
	head, err := io.ReadAll(io.LimitReader(body, textfile.SniffLen))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	if saysPage(resp) && strings.HasPrefix(http.DetectContentType(head), "text/html") || textfile.Kind(head) == textfile.WebPage {
		return nil, unclear(errWebPage, "a proxy or a login page may stand in between: open the URL in a browser of this machine")
	}
	return io.MultiReader(bytes.NewReader(head), body), nil
}

// decode undoes the coding of an answer. With [errMiscoded], the body is as it was sent.
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

// errMiscoded says that a body is not coded as its server says. The agent refuses it.
var errMiscoded = unclear(errors.New("the server says that it compresses the file (gzip), which it does not"), "have it leave out Content-Encoding")

var errWebPage = errors.New("the server answers with a web page, not with a file")

// HintLFS is what to do about a file of Git LFS.
const HintLFS = "Git LFS keeps the file elsewhere: give the URL of the file itself (GitHub has it at media.githubusercontent.com/media/OWNER/REPOSITORY/REF/PATH), or in a repository of this machine, run git lfs pull"

// checkContent refuses, whatever its digest, the file that Git has in the place of one of
// Git LFS. Of content that does not match, it says what it is, if that is plain to see.
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
	return fault.New(fault.Integrity, "%w; what came is %s", mismatch, kind)
}

// largeError is a file of more bytes than are downloaded.
type largeError struct{ error }

// tooLarge is the error for a file of a size, or of -1 where that is not known.
func tooLarge(size, most int64) error {
	reason := fmt.Errorf("it has %d bytes, more than the %d that are downloaded of one file", size, most)
	if size < 0 {
		reason = fmt.Errorf("it has more than the %d bytes that are downloaded of one file", most)
	}
	const gib = 1 << 30
	return transfer.Permanent(unclear(&largeError{reason},
		fmt.Sprintf("if it is meant to be so large, raise the bound: --max-size %dGiB", (max(size, 2*most)+gib-1)/gib)))
}

func unclear(reason error, hint string) error {
	return fault.New(fault.Upstream, "%w", &unusable{reason}).WithHint("%s", hint)
}
