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

// Document returns a small document as a whole: an index, a checksum file, a
// schema. More than max bytes are an error. The URL is http, https or file.
//
// Header has request header fields that prove who asks, or nothing: they go over TLS
// only, and to no other host if the server redirects.
//
// An error for which [IsOwnChecksum] is true comes with the document.
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
		// The reason quotes a part of it, in which a password may be.
		return nil, fault.New(fault.Usage, "it cannot be read as a URL")
	}
	switch u.Scheme {
	case "file":
		return u, nil
	case "http", "https":
		if u.Host != "" {
			return u, nil
		}
	}
	return nil, fault.New(fault.Usage, "it is not a URL that begins with https://, http:// or file://")
}

func (c *Client) readDocument(ctx context.Context, u *url.URL, max int64, header http.Header) ([]byte, error) {
	if u.Scheme == "file" {
		if len(header) > 0 {
			return nil, fault.New(fault.Usage, "it is a file, which no header fields are sent to").WithHint("leave out --header")
		}
		f, _, err := openFile(u)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readBounded(f, max)
	}
	if len(header) > 0 && c.cfg.Via.URL(u).Scheme != "https" {
		return nil, fault.New(fault.Usage, "its header fields would go over plain http, where anybody on the way reads them").
			WithHint("write https://; --ca-file names the certificate of an authority that is not the system's")
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
	// Artifactory computes a checksum file from whatever it has cached, so it is not the publisher's.
	if err == nil && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/x-checksum") && c.cfg.Via.Instead(u) != "" {
		err = unclear(errOwnChecksum, "for the publisher's checksum, make a lock where upstream is reached directly, and use it here: pull --lock FILE")
	}
	return data, err
}

var errOwnChecksum = errors.New("the repository manager computed this checksum file itself")

// IsOwnChecksum reports whether an error says that a repository manager computed a checksum file: it
// is not the publisher's.
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
	return fault.New(fault.Integrity, "%w", &unusable{fmt.Errorf("it has more than the %s that are read of such a document", humanize.IBytes(uint64(max)))})
}

// Destination returns where a URL's redirects lead, without user information and
// query, which may be secret. What is there is not read.
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

// Size returns how many bytes a URL's content has, without downloading it; -1
// where the source does not say. It is an error if there is no such content, or
// more of it than is downloaded.
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

// head asks for the header fields alone. If the server refuses that, says that there is no
// such file, breaks the connection, never answers or gives no length, head asks for one byte,
// as go-getter does (get_http.go, GetFile). Sized says that the length matters: 0 is the usual
// wrong one, and that of a page is not the file's.
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

// sizeIn reads the size of the whole from an answer to [Client.head]. Some repository managers
// refuse every range of what they have.
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
