package fetch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/transfer"
)

// plausible returns the body of an answer, with 200, to a request for content
// whose digest nobody gave, and refuses what would be stored as something that
// it is not. Sized says that the size is known at least.
func plausible(resp *transfer.Response, sized bool) (io.Reader, error) {
	if err := checkEncoding(resp.Response); err != nil {
		return nil, err
	}
	// Where the end of the connection is the end of the body, a broken one
	// looks the same (RFC 9112, section 6.3).
	if !sized && resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 && resp.ProtoMajor == 1 {
		return nil, unclear(errors.New("the server does not say how long the file is, so that a part could not be told from the whole"),
			"have the server send Content-Length or a chunked body; for a plugin or a dependency, a checksum in the index does too")
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return resp, nil
	}
	head := make([]byte, 512)
	n, err := io.ReadFull(resp, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	head = head[:n]
	if strings.HasPrefix(http.DetectContentType(head), "text/html") {
		return nil, unclear(errWebPage, "a proxy or a login page may stand in between: open the URL in a browser of this machine")
	}
	return io.MultiReader(bytes.NewReader(head), resp), nil
}

var errWebPage = errors.New("the server answers with a web page, not with a file")

// largeError is a file of more bytes than are downloaded. Size is -1 where it is
// not known.
type largeError struct{ size, most int64 }

func (e *largeError) Error() string {
	if e.size < 0 {
		return fmt.Sprintf("it has more than the %d bytes that are downloaded of one file", e.most)
	}
	return fmt.Sprintf("it has %d bytes, more than the %d that are downloaded of one file", e.size, e.most)
}

func tooLarge(size, most int64) error {
	const gib = 1 << 30
	raised := max(size, 2*most)
	return transfer.Permanent(unclear(&largeError{size, most},
		fmt.Sprintf("if it is meant to be so large, raise the bound: --max-size %dGiB", (raised+gib-1)/gib)))
}

func unclear(reason error, hint string) error {
	return fault.New(fault.Upstream, "%w", reason).WithHint("%s", hint)
}

// codings has content codings that servers name, wrongly, for files that are
// compressed themselves (RFC 9110, section 8.4.1).
var codings = map[string][]string{
	"gzip": {".gz", ".tgz"}, "x-gzip": {".gz", ".tgz"},
	"bzip2": {".bz2", ".tbz2"}, "x-bzip2": {".bz2", ".tbz2"},
	"xz": {".xz", ".txz"}, "x-xz": {".xz", ".txz"},
	"zstd": {".zst", ".tzst"},
}

// checkEncoding refuses content that a server compresses although it was asked
// not to.
func checkEncoding(resp *http.Response) error {
	coding := strings.ToLower(resp.Header.Get("Content-Encoding"))
	if coding == "" || coding == "identity" {
		return nil
	}
	ext := path.Ext(resp.Request.URL.Path)
	for _, own := range codings[coding] {
		if ext == own {
			return nil
		}
	}
	return unclear(fmt.Errorf("the server compresses the file (%s) although it was asked not to", coding),
		"have it send the file as it is")
}
