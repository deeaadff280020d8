package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// agentUserAgent is the User-Agent of the agent (net/http, request.go).
const agentUserAgent = "Go-http-client/1.1"

// do sends a request and returns the answer, whatever its status. Some servers refuse programs that
// they do not know. After a 403, do tries once more with the agent's User-Agent. If that helps, all
// further requests to the host have it.
func (c *Client) do(ctx context.Context, method string, u *url.URL, header http.Header) (*transfer.Response, error) {
	asked := c.cfg.Via.URL(u)
	userAgent, told := c.userAgents.Load(asked.Host)
	if !told {
		userAgent = c.cfg.UserAgent
	}
	resp, err := c.send(ctx, method, asked, header, userAgent.(string), asked != u)
	if err != nil || told || resp.StatusCode != http.StatusForbidden || resp.Refusal().Reached {
		return resp, err
	}
	again, err := c.send(ctx, method, asked, header, agentUserAgent, asked != u)
	if err == nil && again.StatusCode != http.StatusForbidden {
		c.userAgents.Store(asked.Host, agentUserAgent)
		return again, resp.Close()
	}
	if err == nil {
		c.userAgents.Store(asked.Host, c.cfg.UserAgent)
		_ = again.Close()
	}
	return resp, nil
}

// send sends a request. Instead says that a --via rule replaced the host, so that credentials in the
// header are for another host: those of u replace them.
func (c *Client) send(ctx context.Context, method string, u *url.URL, header http.Header, userAgent string, instead bool) (*transfer.Response, error) {
	netrc, err := disk.Await(ctx, c.netrc)
	if err != nil {
		return nil, err
	}
	bare := *u
	bare.User = nil
	req, err := http.NewRequestWithContext(ctx, method, bare.String(), nil)
	if err != nil {
		return nil, transfer.Permanent(transfer.WithoutURL(err))
	}
	for name, values := range header {
		for _, v := range values {
			req.Header.Add(name, v) // sets the canonical name, so that a redirect drops it
		}
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", userAgent)
	}
	req.Header.Set("Accept-Encoding", "identity")
	if user := credentialsFor(u, netrc); user != nil && (instead || req.Header.Get("Authorization") == "") {
		if u.Scheme != "https" {
			return nil, inClear(u)
		}
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	return c.http.Do(req, 0)
}

// inClear returns the error for credentials, of the URL or the netrc file, that would go over plain
// http.
func inClear(u *url.URL) error {
	e := fault.New(fault.Usage, "credentials for %s would go over plain http, unencrypted", transfer.Printable(u.Host, 300))
	if u.User != nil {
		return e.WithHint("write https://, or remove the user from the URL")
	}
	return e.WithHint("write https://, or remove the host from the netrc file")
}

// webSource is a [transfer.Source] for a web server. With If-Range, the server makes sure that all
// parts are of one version (RFC 9110, section 13.1.5). Each request goes to the original URL, because
// a redirect's target may expire.
//
// It replaces go-getter's HttpGetter. That one sends no If-Range, so it may join two versions of a
// file. It also takes a file that is long enough for complete, reports no status codes, and reads the
// file a second time to hash it.
type webSource struct{ *download }

// errUnchanged means that the store's record of a URL is still right.
var errUnchanged = transfer.Permanent(errors.New("the file has not changed"))

func (s webSource) Open(ctx context.Context, offset int64, of store.Origin) (*transfer.Part, error) {
	if offset > 0 && of.Through != s.through(s.src) {
		if !s.want.hasDigest() {
			return nil, &transfer.ChangedError{Reason: "the partial file is from another server"}
		}
		of = store.Origin{Total: of.Total}
	}
	resp, err := s.do(ctx, http.MethodGet, s.src.url, s.header(offset, of))
	if err != nil {
		return nil, err
	}
	part, err := s.part(resp, offset, of)
	if err == nil && s.req.Hold != nil {
		err = transfer.Local(s.req.Hold(ctx))
	}
	if err != nil {
		resp.Close()
	}
	return part, err
}

func (s webSource) part(resp *transfer.Response, offset int64, of store.Origin) (*transfer.Part, error) {
	switch {
	case resp.StatusCode == http.StatusOK, offset == 0 && isWhole(resp.Response):
		return s.whole(resp, offset, of)
	case resp.StatusCode == http.StatusNotModified && s.record != nil && offset == 0:
		return nil, errUnchanged
	case resp.StatusCode == http.StatusPartialContent && offset > 0 && transfer.CodingOf(resp.Response).Compressed:
		return nil, &transfer.ChangedError{Reason: "the server compresses a part of the file"}
	case resp.StatusCode == http.StatusPartialContent && offset > 0:
		return restOf(resp, offset, of)
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && offset > 0:
		return nil, &transfer.ChangedError{Reason: "the server does not have the rest of the file"}
	}
	return nil, resp.Refusal()
}

// header returns the header fields of a request for the bytes from an offset on.
func (s webSource) header(offset int64, of store.Origin) http.Header {
	h := http.Header{}
	if s.bypassCaches {
		h.Set("Cache-Control", "no-cache")
	}
	switch {
	case offset > 0:
		h.Set("Range", fmt.Sprintf("bytes=%d-", offset))
		if of.Validator != "" {
			h.Set("If-Range", of.Validator)
		}
	case s.record == nil || s.record.Through != s.through(s.src):
	case s.record.ETag != "":
		h.Set("If-None-Match", s.record.ETag)
	case s.record.LastModified != "":
		h.Set("If-Modified-Since", s.record.LastModified)
	}
	return h
}

// isWhole reports whether a partial answer has the whole file. Some servers and caches send such
// answers to requests without a range.
func isWhole(resp *http.Response) bool {
	start, end, total, ok := transfer.ContentRange(resp.Header)
	return resp.StatusCode == http.StatusPartialContent && ok && start == 0 && end+1 == total &&
		(resp.ContentLength < 0 || resp.ContentLength == total)
}

// whole reads an answer that begins with the first byte.
func (s webSource) whole(resp *transfer.Response, offset int64, of store.Origin) (*transfer.Part, error) {
	s.coding = transfer.CodingOf(resp.Response).Named
	var body io.Reader = resp
	var undone bool
	var err error
	if !s.verbatim {
		body, undone, err = decode(resp)
	}
	if err != nil && (!errors.Is(err, errMiscoded) || !s.want.hasDigest()) { // with a digest, the content decides
		return nil, err
	}
	total := resp.ContentLength
	if undone {
		total = -1
	}
	if err := s.checkTotal(total); err != nil {
		return nil, s.withCoding(err)
	}
	if !s.want.hasDigest() {
		if body, err = checkBody(resp, body, undone, s.want.size >= 0); err != nil {
			return nil, err
		}
	}
	part := &transfer.Part{ReadCloser: decodedBody{body, resp}, End: total, Total: total, Origin: store.Origin{
		URL: s.src.shown, Through: s.through(s.src), ETag: resp.Header.Get("ETag"), LastModified: resp.Header.Get("Last-Modified"),
		Validator: validator(resp.Header), Decoded: undone, Total: max(total, 0),
	}}
	if offset > 0 {
		part.Void = "the server cannot send a part of the file"
		if differ(of.ETag, part.Origin.ETag) || differ(of.LastModified, part.Origin.LastModified) {
			part.Void = "the file has changed on the server"
		}
	}
	return part, nil
}

// decodedBody is the decompressed body of an answer.
type decodedBody struct {
	io.Reader
	io.Closer
}

// restOf reads an answer that continues a file at an offset.
func restOf(resp *transfer.Response, offset int64, of store.Origin) (*transfer.Part, error) {
	start, end, total, ok := transfer.ContentRange(resp.Header)
	length, reason := resp.ContentLength, ""
	switch {
	case !ok || start != offset || length >= 0 && length != end-start+1:
		reason = "the server sends another part of the file than it was asked for"
	// Not every server heeds If-Range.
	case differ(of.ETag, resp.Header.Get("ETag")), differ(of.LastModified, resp.Header.Get("Last-Modified")),
		of.Total > 0 && total >= 0 && total != of.Total:
		reason = "the file has changed on the server"
	}
	if reason != "" {
		return nil, &transfer.ChangedError{Reason: reason}
	}
	if total < 0 && of.Total > 0 {
		total = of.Total
	}
	return &transfer.Part{ReadCloser: resp, Start: start, End: end + 1, Total: total}, nil
}

func differ(a, b string) bool { return a != "" && b != "" && a != b }

// validator returns the value for a later If-Range: a strong entity tag, or a modification time that
// is at least a second before the answer's date (RFC 9110, sections 8.8.1 and 8.8.2.2); or "".
func validator(h http.Header) string {
	if strings.EqualFold(h.Get("Accept-Ranges"), "none") {
		return ""
	}
	if etag := h.Get("ETag"); strings.HasPrefix(etag, `"`) {
		return etag
	}
	modified, err := http.ParseTime(h.Get("Last-Modified"))
	date, err2 := http.ParseTime(h.Get("Date"))
	if err != nil || err2 != nil || date.Sub(modified) < time.Second {
		return ""
	}
	return h.Get("Last-Modified")
}
