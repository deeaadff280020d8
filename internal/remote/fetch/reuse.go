package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// errStale means that the store has no blob to reuse.
var errStale = errors.New("nothing to reuse")

// reuseByDigest answers a request from the store, without the network: by its sha256, or by its other
// digests and the record of its URL. It returns errStale if it cannot.
func (c *Client) reuseByDigest(ctx context.Context, req Request, key string, want expectation) (Result, error) {
	if want.sha256 != nil {
		return c.reuseBlob(ctx, req, *want.sha256, want)
	}
	rec, ok := c.cfg.Store.URLRecord(key)
	if !ok || !want.hasDigest() {
		return Result{}, errStale
	}
	r, err := c.reuseBlob(ctx, req, rec.SHA256, want)
	if fault.KindOf(err) == fault.Integrity {
		err = errStale // the URL had other content then: ask again
	}
	return r, err
}

// reuseBlob reuses the blob with a sha256, or returns errStale. For other digests, it reads the blob.
func (c *Client) reuseBlob(ctx context.Context, req Request, d lock.SHA256, want expectation) (Result, error) {
	size, ok := c.cfg.Store.Has(d)
	if !ok || size > c.cfg.MaxBytes {
		return Result{}, errStale // larger than any download
	}
	if req.Verify || want.checkSize(size) != nil { // the blob is damaged, or the expected size is wrong
		err := c.cfg.Store.Verify(ctx, d)
		if fault.KindOf(err) == fault.Integrity {
			return Result{}, errStale // Verify removed it
		}
		if err != nil {
			return Result{}, transfer.Local(err)
		}
	}
	digests := []agent.Checksum{sha256Checksum(d)}
	if s := newSums(want); len(s) > 1 {
		var err error
		if digests, err = c.hashBlob(ctx, d, s); err != nil {
			return Result{}, err
		}
	}
	if err := errors.Join(want.check(digests), want.checkSize(size)); err != nil {
		return Result{}, err
	}
	return Result{SHA256: d, Size: size, Reused: true, Digests: digests}, nil
}

// hashBlob computes the digests of a blob.
func (c *Client) hashBlob(ctx context.Context, d lock.SHA256, s sums) ([]agent.Checksum, error) {
	f, err := c.cfg.Store.Open(d)
	if err != nil {
		return nil, transfer.Local(err)
	}
	defer f.Close()
	if err := blob.Copy(ctx, s, f); err != nil {
		return nil, transfer.Local(fmt.Errorf("reading a blob in the store: %w", err))
	}
	if s.SHA256() != d {
		f.Close() // Windows cannot remove an open file
		return nil, errors.Join(errStale, c.cfg.Store.Verify(ctx, d))
	}
	return s.digests(), nil
}

// reuseRecord returns a record's blob as the current content of the URL.
func (c *Client) reuseRecord(ctx context.Context, req Request, key string, rec store.URLRecord, want expectation) (Result, error) {
	r, err := c.reuseBlob(ctx, req, rec.SHA256, want)
	if err == nil {
		rec.Seen = time.Now()
		_ = c.cfg.Store.SetURLRecord(key, rec) // a failure is harmless: the next run asks the server again
	}
	return r, err
}

// unchanged asks a server whether a URL still has the content of a record, without downloading it. If
// the answer is not clear, known is false, and the download finds out.
func (c *Client) unchanged(ctx context.Context, src source, rec store.URLRecord) (same, known bool) {
	resp, err := c.do(ctx, http.MethodHead, src.url, nil)
	if err != nil {
		return false, false
	}
	defer resp.Close()
	if resp.StatusCode != http.StatusOK || !transfer.CodingOf(resp.Response).SizeCounts() {
		return false, false
	}
	if rec.Through != c.through(src) {
		modified := resp.Header.Get("Last-Modified")
		return modified != "" && modified == rec.LastModified && resp.ContentLength == rec.Size, true
	}
	return matches(rec, resp.Header, resp.ContentLength), true
}

// Current returns the stored content of a web server's file without a checksum, if the server says
// that the file has not changed. It downloads nothing.
func (c *Client) Current(ctx context.Context, rawURL string) (Result, bool) {
	src, err := parseSource(rawURL)
	if err != nil || !src.isWeb() {
		return Result{}, false
	}
	rec, ok := c.cfg.Store.URLRecord(src.shown)
	if !ok || rec.HadChecksum || rec.Size > c.cfg.MaxBytes {
		return Result{}, false
	}
	if same, _ := c.unchanged(ctx, src, rec); !same {
		return Result{}, false
	}
	r, err := c.reuseRecord(ctx, Request{URL: rawURL}, src.shown, rec, expectation{size: -1})
	return r, err == nil
}

// through identifies the server of a --via rule that a file comes from: see [transfer.Via.Through].
func (c *Client) through(src source) string {
	if !src.isWeb() {
		return ""
	}
	return c.cfg.Via.Through(src.url)
}

// matches compares a record with the header fields of the content now. Entity tags decide, if both
// have one, then modification times, then, if there are neither, the size.
func matches(rec store.URLRecord, h http.Header, size int64) bool {
	if size >= 0 && size != rec.Size {
		return false
	}
	etag, modified := h.Get("ETag"), h.Get("Last-Modified")
	switch {
	case rec.ETag != "" && etag != "":
		return rec.ETag == etag
	case rec.LastModified != "" && modified != "":
		return rec.LastModified == modified
	case rec.ETag != "" || rec.LastModified != "" || etag != "" || modified != "":
		return false
	}
	return size == rec.Size
}

func fileTime(fi os.FileInfo) string { return fi.ModTime().UTC().Format(time.RFC3339Nano) }
