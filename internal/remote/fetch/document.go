package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// Document returns a small document, such as an index, a checksum file or a schema. The URL is http,
// https or file. If the document has more than max bytes, that is an error of kind [fault.Integrity].
//
// Header has request header fields with credentials, or is nil. They are sent over TLS only, and not
// to another host after a redirect.
//
// With an error for which [IsOwnChecksum] is true, Document returns the document, too.
func (c *Client) Document(ctx context.Context, rawURL string, max int64, header http.Header) (data []byte, err error) {
	u, err := parseWebURL(rawURL)
	if err == nil {
		if instead := c.cfg.Via.Instead(u); instead != "" && c.cfg.Reading != nil {
			c.cfg.Reading(agent.Redact(rawURL), instead)
		}
		err = c.retry(ctx, rawURL, func() (err error) {
			data, err = c.readDocument(ctx, u, max, header)
			return err
		})
	}
	if err != nil {
		return data, c.failure("reading", rawURL, err)
	}
	return data, nil
}

func parseWebURL(rawURL string) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		// The reason quotes a part of the URL, which may be a password.
		return nil, fault.New(fault.Usage, "the URL is not valid")
	}
	switch u.Scheme {
	case "file":
		return u, nil
	case "http", "https":
		if u.Host != "" {
			return u, nil
		}
	}
	return nil, fault.New(fault.Usage, "the URL does not begin with https://, http:// or file://")
}

func (c *Client) readDocument(ctx context.Context, u *url.URL, max int64, header http.Header) ([]byte, error) {
	if u.Scheme == "file" {
		if len(header) > 0 {
			return nil, fault.New(fault.Usage, "header fields cannot be sent to a file").WithHint("leave out --header")
		}
		f, _, err := openFile(u)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readBounded(f, max)
	}
	if len(header) > 0 && c.cfg.Via.URL(u).Scheme != "https" {
		return nil, fault.New(fault.Usage, "the header fields with credentials would go over plain http, unencrypted").
			WithHint("write https://; if the server has a private CA, add --ca-file CA.pem")
	}
	resp, err := c.do(ctx, http.MethodGet, u, header)
	if err != nil {
		return nil, err
	}
	defer resp.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, resp.Refusal()
	}
	if resp.ContentLength > max {
		return nil, tooLong(max)
	}
	body, undone, err := decode(resp)
	if err == nil {
		body, err = checkBody(resp, body, undone, false)
	}
	if err != nil {
		return nil, err
	}
	data, err := readBounded(body, max)
	// Artifactory computes a checksum file from the file in its cache: it is not the publisher's.
	if err == nil && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/x-checksum") && c.cfg.Via.Instead(u) != "" {
		err = unclear(errOwnChecksum, "for the publisher's checksum, write a lock on a machine that reaches upstream directly, and use it here: botkube-mirror pull --lock FILE")
	}
	return data, err
}

var errOwnChecksum = errors.New("the repository manager computed this checksum file itself")

// IsOwnChecksum reports whether err means that a repository manager computed the checksum file
// itself, so that it is not the publisher's.
func IsOwnChecksum(err error) bool { return errors.Is(err, errOwnChecksum) }

func readBounded(r io.Reader, max int64) ([]byte, error) {
	data, err := disk.ReadAtMost(r, max)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, &transfer.TruncatedError{Size: int64(len(data)), Total: -1}
	case transfer.Is[*disk.TooLongError](err):
		return nil, tooLong(max)
	}
	return data, err
}

func tooLong(max int64) error {
	return fault.New(fault.Integrity, "%w", &unusable{fmt.Errorf("the document is larger than %s", humanize.IBytes(uint64(max)))})
}

// Destination follows a URL's redirects and returns the last URL, without user information and query,
// which may be secret. It does not download the content.
func (c *Client) Destination(ctx context.Context, rawURL string) (destination string, err error) {
	u, err := parseWebURL(rawURL)
	if err == nil {
		err = c.retry(ctx, rawURL, func() error {
			resp, err := c.head(ctx, u, false)
			if err != nil {
				return err
			}
			defer resp.Close()
			if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
				return resp.Refusal()
			}
			at := resp.Request.URL
			destination = (&url.URL{Scheme: at.Scheme, Host: at.Host, Path: at.Path, RawPath: at.RawPath}).String()
			return nil
		})
	}
	if err != nil {
		return "", c.failure("following", rawURL, err)
	}
	return destination, nil
}

// Size returns the size of a URL's content in bytes without downloading it; -1 if the source does
// not say. It is an error if the content does not exist or is larger than [Config.MaxBytes].
func (c *Client) Size(ctx context.Context, rawURL string) (int64, error) {
	size := int64(-1)
	src, err := parseSource(rawURL)
	switch {
	case err != nil:
	case src.getter == "file":
		var f *os.File
		var fi os.FileInfo
		if f, fi, err = openFile(src.url); err == nil {
			size, err = fi.Size(), f.Close()
		}
	case src.isWeb():
		err = c.retry(ctx, rawURL, func() error {
			resp, err := c.head(ctx, src.url, true)
			if err != nil {
				return err
			}
			defer resp.Close()
			size, err = sizeIn(resp)
			return err
		})
	}
	if err == nil && size > c.cfg.MaxBytes {
		err = tooLarge(size, c.cfg.MaxBytes)
	}
	if err != nil {
		return 0, c.failure("asking for the size of", rawURL, err)
	}
	return size, nil
}

// head requests the header fields only. If that fails in any way, or if the answer has no length, it
// requests one byte, as go-getter does (get_http.go, GetFile). Sized says that the caller needs the
// length: then 0, which is the usual wrong value, and the length of a web page do not count.
func (c *Client) head(ctx context.Context, u *url.URL, sized bool) (*transfer.Response, error) {
	resp, err := c.do(ctx, http.MethodHead, u, nil)
	switch {
	case err == nil && resp.StatusCode == http.StatusOK && (!sized || resp.ContentLength != 0 && !saysPage(resp)):
		return resp, nil
	case err == nil:
		resp.Close()
	case ctx.Err() != nil || !transfer.Transient(err, 1):
		return nil, err
	}
	return c.do(ctx, http.MethodGet, u, http.Header{"Range": {"bytes=0-0"}})
}

// sizeIn reads the size of the whole file from an answer to [Client.head]. Some repository managers
// refuse every request for a range.
func sizeIn(resp *transfer.Response) (int64, error) {
	counts := transfer.CodingOf(resp.Response).SizeCounts() && !saysPage(resp)
	switch resp.StatusCode {
	case http.StatusOK:
		if !counts {
			return -1, nil
		}
		return resp.ContentLength, nil
	case http.StatusPartialContent:
		if _, _, total, ok := transfer.ContentRange(resp.Header); ok && counts {
			return total, nil
		}
		return -1, nil
	case http.StatusRequestedRangeNotSatisfiable:
		if resp.Header.Get("Content-Range") == "bytes */0" {
			return 0, nil
		}
		return -1, nil
	}
	return 0, resp.Refusal()
}

func saysPage(resp *transfer.Response) bool {
	return strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html")
}
