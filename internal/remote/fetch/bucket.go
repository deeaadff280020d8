package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"cloud.google.com/go/storage"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/hashicorp/go-getter"
	"golang.org/x/oauth2"
	"google.golang.org/api/googleapi"

	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// objectGetter is what the getters for object stores have in common.
type objectGetter struct {
	fetch  *Client
	client *getter.Client
	// err is what Get returned, without what go-getter wraps around it.
	err error
}

// SetClient takes the context, which is go-getter's way to pass it.
func (g *objectGetter) SetClient(c *getter.Client) { g.client = c }

// ClientMode is not asked: what is wanted is known.
func (g *objectGetter) ClientMode(*url.URL) (getter.ClientMode, error) {
	return getter.ClientModeFile, nil
}

// bucketGetter is one of the getters for object stores, for a file: it is written
// beside the partial one, adopted when it is whole, and hashed then. Their client
// libraries repeat requests that fail to begin. Nothing but the growth of the file
// tells that something moves.
type bucketGetter struct {
	getter.Getter
	d      *download
	client *getter.Client
}

// SetClient takes the context, which is go-getter's way to pass it.
func (g *bucketGetter) SetClient(c *getter.Client) { g.client = c }

// GetFile gets u; dst is the partial file.
func (g *bucketGetter) GetFile(_ string, u *url.URL) error {
	return g.d.retry.Do(g.client.Ctx, g.d.obs.Retrying, nil, func() error { return g.attempt(u) })
}

// request has the getter write the file, and watches it.
func (g *bucketGetter) request(u *url.URL) error {
	var before int64
	w := transfer.NewWatch(g.client.Ctx, g.d.patience, func() bool {
		fi, err := os.Stat(g.d.in.Other())
		if err != nil || fi.Size() <= before {
			return false
		}
		before = fi.Size()
		return true
	})
	defer w.Stop()
	own := *g.client
	own.Ctx = w.Context()
	own.ProgressListener = &bucketProgress{g.d}
	g.Getter.SetClient(&own)
	err := g.Getter.GetFile(g.d.in.Other(), u)
	w.Rest() // the connection is closed before the watch says why
	if ended := w.Reason(); err != nil && ended != nil {
		return ended
	}
	return bucketError(err)
}

func (g *bucketGetter) attempt(u *url.URL) error {
	if g.d.in.Size() > 0 {
		if err := g.d.restart("this kind of source cannot be resumed"); err != nil {
			return err
		}
	}
	if err := g.request(u); err != nil {
		return err
	}
	fi, err := os.Stat(g.d.in.Other())
	if err != nil {
		return transfer.Local(err)
	}
	if err := g.d.checkTotal(fi.Size()); err != nil {
		return err
	}
	if err := g.d.in.Adopt(); err != nil {
		return transfer.Local(err)
	}
	g.d.sums.Reset()
	return transfer.Local(transfer.CopyWithContext(g.client.Ctx, g.d.sums, io.NewSectionReader(g.d.in.File(), 0, fi.Size())))
}

// writeObject writes what comes of an object to a file, under the eyes of who
// listens.
func writeObject(c *getter.Client, dst, name string, size int64, body io.ReadCloser) error {
	if c.ProgressListener != nil {
		body = c.ProgressListener.TrackProgress(name, 0, size, body)
	}
	defer body.Close()
	f, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return transfer.Local(err)
	}
	err = transfer.Copy(func(p []byte) error {
		if c.Ctx.Err() != nil {
			return context.Cause(c.Ctx)
		}
		_, err := f.Write(p)
		return transfer.Local(err)
	}, body)
	return errors.Join(err, transfer.Local(f.Close()))
}

// objectFile returns where in a directory an object belongs whose key begins with
// that of the directory; or "" if it stands for a directory itself, or is none of the
// directory, as t-old/a is none of t.
func objectFile(dirKey, key, dir string) (string, error) {
	if strings.HasSuffix(key, "/") || !strings.HasPrefix(key, strings.TrimSuffix(dirKey, "/")+"/") {
		return "", nil
	}
	rel, err := filepath.Rel(dirKey, key)
	if err != nil || !filepath.IsLocal(rel) {
		return "", transfer.Permanent(fmt.Errorf("the key %.200q leads out of the directory", key))
	}
	to := filepath.Join(dir, rel)
	return to, transfer.Local(os.MkdirAll(filepath.Dir(to), 0o700))
}

// What messages call the other sides of client libraries.
const (
	objectStore = "the object store"
	googleStore = "Google Cloud Storage"
)

// bucketError sorts the errors of client libraries, which have repeated what
// is worth it: only a connection that breaks in the middle is left to us.
func bucketError(err error) error {
	if err == nil {
		return nil
	}
	if status := refusalOf(err); status != nil {
		return status
	}
	if e, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		err = e.Err // the rest counts attempts, and has an empty answer
	}
	if transfer.Is[*transfer.LocalError](err) || transfer.Is[*transfer.PermanentError](err) || transfer.Is[*transfer.Mismatch](err) {
		return err
	}
	if transfer.Is[net.Error](err) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return transfer.WithoutURL(err)
	}
	return transfer.Permanent(transfer.WithoutURL(err))
}

// refusalOf returns what an object store answered in the place of what was asked for,
// or nil. Its messages are not quoted: it has been shown credentials.
func refusalOf(err error) *transfer.StatusError {
	if errors.Is(err, storage.ErrObjectNotExist) || errors.Is(err, storage.ErrBucketNotExist) {
		return &transfer.StatusError{Code: http.StatusNotFound, Host: googleStore}
	}
	if e, ok := errors.AsType[*googleapi.Error](err); ok {
		status := transfer.NewRefusal(googleStore, e.Code, e.Header)
		for _, item := range e.Errors {
			status.Told("", item.Reason)
		}
		return status
	}
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok && e.Response != nil {
		return transfer.NewRefusal(googleStore, e.Response.StatusCode, e.Response.Header)
	}
	e, ok := errors.AsType[interface {
		error
		HTTPStatusCode() int
	}](err)
	if !ok || e.HTTPStatusCode() < http.StatusMultipleChoices { // 0: there was no answer
		return nil
	}
	var header http.Header
	if e, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && e.Response != nil {
		header = e.Response.Header
	}
	status := transfer.NewRefusal(objectStore, e.HTTPStatusCode(), header)
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		if slices.Contains(s3Codes, e.ErrorCode()) {
			status.Says = e.ErrorCode()
		}
		status.Told("", e.ErrorCode())
	}
	return status
}

// s3Codes tell refusals apart that have the same status (Amazon S3 API Reference,
// List of error codes).
var s3Codes = []string{
	"AccessDenied", "AllAccessDisabled", "AuthorizationHeaderMalformed", "ExpiredToken", "InvalidAccessKeyId", "InvalidObjectState", "InvalidToken",
	"NoSuchBucket", "NoSuchKey", "NoSuchVersion", "PermanentRedirect", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "SlowDown", "TemporaryRedirect",
}

// bucketProgress is go-getter's way to report progress.
type bucketProgress struct {
	d *download
}

func (p *bucketProgress) TrackProgress(_ string, _, total int64, body io.ReadCloser) io.ReadCloser {
	if total <= 0 {
		total = -1
	}
	p.d.begin(total)
	return &bucketBody{ReadCloser: body, d: p.d, err: p.d.checkTotal(total)}
}

// bucketBody counts, and enforces the bounds that go-getter has no setting for.
type bucketBody struct {
	io.ReadCloser
	d    *download
	size int64
	err  error
}

func (b *bucketBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.ReadCloser.Read(p)
	b.size += int64(n)
	b.d.result.Transferred += int64(n)
	b.d.obs.received(n)
	if b.size > b.d.max {
		b.err = tooLarge(-1, b.d.max)
		return n, b.err
	}
	return n, err
}
