package fetch

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// getHTTP downloads from a web server, and goes on where an earlier attempt or
// an earlier run left off as long as the server vouches for the bytes being of
// the same version (RFC 9110, section 13.1.5), or a digest of the whole does.
func (d *download) getHTTP(ctx context.Context, u *url.URL) error {
	if err := d.recover(ctx); err != nil {
		return err
	}
	if d.record != nil && d.in.Size() == 0 {
		switch same, known := d.unchanged(ctx, u, *d.record); {
		case same:
			d.same = true
			return nil
		case known:
			d.record = nil
		}
	}
	return d.retry.Do(ctx, d.obs.Retrying, func() int64 { return d.high }, func() error { return d.attempt(ctx, u) })
}

// recover makes sure of what an earlier run left.
func (d *download) recover(ctx context.Context) error {
	size := d.in.Size()
	if size == 0 {
		return nil
	}
	// Of a file that is all there, the last byte is asked for again: a server
	// that is asked for what follows it can but answer 416.
	most := size
	if total := d.in.Origin().Total; total > 0 {
		most = min(most, total-1)
	}
	keep, err := d.in.Recover(ctx, d.want.vouched(), most)
	if err != nil {
		return err
	}
	if keep == 0 {
		return d.restart(fmt.Sprintf("the %d bytes that an earlier run left cannot be relied on", size))
	}
	d.result.Resumed, d.high = keep, keep
	d.etag, d.modified = d.in.Origin().ETag, d.in.Origin().LastModified
	return nil
}

// attempt asks once for what is missing. The URL is always the original one:
// what it redirects to may expire.
func (d *download) attempt(ctx context.Context, u *url.URL) error {
	header, err := d.header()
	if err != nil {
		return err
	}
	resp, err := d.do(ctx, http.MethodGet, u, header)
	if err != nil {
		return err
	}
	defer resp.Close()
	offset := d.in.Size()
	switch {
	case resp.StatusCode == http.StatusOK, offset == 0 && isWhole(resp.Response):
		return d.receiveWhole(resp)
	case resp.StatusCode == http.StatusNotModified && d.record != nil && offset == 0:
		d.same = true
		return nil
	case resp.StatusCode == http.StatusPartialContent && offset > 0:
		return d.receiveRest(ctx, u, resp)
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && offset > 0:
		return d.again(ctx, u, resp, "the server has no such range")
	}
	return resp.Refusal()
}

// isWhole reports whether an answer has a part that is all there is, which some
// servers and caches send though they were not asked for one.
func isWhole(resp *http.Response) bool {
	start, end, total, ok := parseContentRange(resp.Header.Get("Content-Range"))
	return resp.StatusCode == http.StatusPartialContent && ok && start == 0 && end+1 == total &&
		(resp.ContentLength < 0 || resp.ContentLength == total)
}

// again starts over at once. It happens once at most, for the next request is
// for the whole.
func (d *download) again(ctx context.Context, u *url.URL, resp *transfer.Response, reason string) error {
	resp.Close()
	if err := d.restart(reason); err != nil {
		return err
	}
	return d.attempt(ctx, u)
}

// header returns what the request asks for besides the URL.
func (d *download) header() (http.Header, error) {
	h := http.Header{}
	if d.suspicious {
		h.Set("Cache-Control", "no-cache")
	}
	size, origin := d.in.Size(), d.in.Origin()
	guard, void := origin.Validator, ""
	switch {
	case size == 0:
	case origin.Decoded:
		void = "the server compresses the file"
	// Where a digest will tell, it takes the place of the server's word.
	case guard == "" && !d.want.vouched():
		void = "the server gives nothing to tell one version of the file from another by"
	}
	if void != "" {
		if err := d.restart(void); err != nil {
			return nil, err
		}
		size = 0
	}
	switch {
	case size > 0:
		h.Set("Range", fmt.Sprintf("bytes=%d-", size))
		if guard != "" {
			h.Set("If-Range", guard)
		}
	case d.record != nil && d.record.ETag != "":
		h.Set("If-None-Match", d.record.ETag)
	case d.record != nil && d.record.LastModified != "":
		h.Set("If-Modified-Since", d.record.LastModified)
	}
	return h, nil
}

// receiveWhole takes an answer that begins with the first byte.
func (d *download) receiveWhole(resp *transfer.Response) error {
	if d.in.Size() > 0 {
		if err := d.restart(d.reasonForWhole(resp.Header)); err != nil {
			return err
		}
	}
	d.coding = transfer.CodingOf(resp.Response).Named
	var body io.Reader = resp
	var undone bool
	var err error
	if !d.verbatim {
		body, undone, err = decode(resp)
	}
	switch {
	case errors.Is(err, gzip.ErrHeader) && d.want.vouched(): // a digest tells
	case errors.Is(err, gzip.ErrHeader):
		return errMiscoded
	case err != nil:
		return err
	}
	total := resp.ContentLength
	if undone {
		total = -1
	}
	if err := d.checkTotal(total); err != nil {
		return d.withCoding(err)
	}
	if !d.want.vouched() {
		if body, err = plausible(resp, body, undone, d.want.size >= 0); err != nil {
			return err
		}
	}
	d.etag, d.modified = resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")
	origin := store.Origin{
		URL: d.src.shown, ETag: d.etag, LastModified: d.modified,
		Validator: guard(resp.Header), Decoded: undone, Total: max(total, 0),
	}
	if err := d.in.SetOrigin(origin); err != nil {
		return transfer.Local(err)
	}
	d.begin(total)
	return d.receive(body, total, total)
}

func (d *download) reasonForWhole(h http.Header) string {
	was := d.in.Origin()
	if etag, modified := h.Get("ETag"), h.Get("Last-Modified"); etag != was.ETag || modified != was.LastModified {
		return "the file has changed on the server"
	}
	return "the server cannot send a part of the file"
}

// receiveRest takes an answer that goes on where things stand, if it does.
func (d *download) receiveRest(ctx context.Context, u *url.URL, resp *transfer.Response) error {
	was, offset := d.in.Origin(), d.in.Size()
	start, end, total, ok := parseContentRange(resp.Header.Get("Content-Range"))
	length := resp.ContentLength
	switch {
	case transfer.CodingOf(resp.Response).Compressed:
		return d.again(ctx, u, resp, "the server compresses a part of the file")
	case !ok || start != offset || length >= 0 && length != end-start+1:
		return d.again(ctx, u, resp, "the server sends another range than it was asked for")
	// Not every server heeds If-Range.
	case differ(was.ETag, resp.Header.Get("ETag")), differ(was.LastModified, resp.Header.Get("Last-Modified")),
		was.Total > 0 && total >= 0 && total != was.Total:
		return d.again(ctx, u, resp, "the file has changed on the server")
	}
	if total < 0 && was.Total > 0 {
		total = was.Total
	}
	if err := d.checkTotal(total); err != nil {
		return err
	}
	d.begin(total)
	d.obs.resumed(offset)
	return d.receive(resp, end+1, total)
}

func differ(a, b string) bool { return a != "" && b != "" && a != b }

// parseContentRange reads "bytes START-END/TOTAL" (RFC 9110, section 14.4);
// total is -1 where it is unknown.
func parseContentRange(s string) (start, end, total int64, ok bool) {
	s, ok = strings.CutPrefix(s, "bytes ")
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

// receive takes a body up to limit, of total bytes that there are; either is -1
// where it is unknown.
func (d *download) receive(body io.Reader, limit, total int64) error {
	err := d.copy(body, limit)
	if transfer.Is[*transfer.LocalError](err) || transfer.Is[*transfer.PermanentError](err) {
		return err
	}
	switch size := d.in.Size(); {
	case total >= 0 && size == total, total < 0 && err == nil:
		return nil
	case err == nil || errors.Is(err, io.ErrUnexpectedEOF):
		err = &truncated{size, total}
	}
	return errors.Join(err, d.in.Secure())
}

// truncated is a body that ends too early.
type truncated struct{ size, total int64 }

func (e *truncated) Error() string {
	if e.total < 0 {
		return fmt.Sprintf("the connection ended after %d bytes, before the end of the file", e.size)
	}
	return fmt.Sprintf("the connection ended after %d of %d bytes", e.size, e.total)
}

func (d *download) copy(body io.Reader, limit int64) error {
	return transfer.Copy(func(p []byte) error { return d.take(p, limit) }, body)
}

// guard returns what If-Range may carry later: a strong entity tag, or a time
// of change that is old enough for another change not to hide behind it
// (RFC 9110, sections 8.8.1 and 8.8.2.2).
func guard(h http.Header) string {
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
