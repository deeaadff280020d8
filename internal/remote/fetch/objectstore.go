package fetch

import (
	"cmp"
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
	"golang.org/x/oauth2"
	"google.golang.org/api/googleapi"

	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// bucket is a bucket of an object store, over connections of this program.
type bucket interface {
	// list calls visit with the keys that begin as a URL's.
	list(ctx context.Context, visit func(key string) error) error
	// open asks for an object from an offset on, of the version that it returned
	// before as the origin of a part.
	open(ctx context.Context, key string, offset int64, of store.Origin) (*transfer.Part, error)
	Close() error
}

// openBucket opens the bucket that a URL names, and returns the key in it.
func (c *Client) openBucket(ctx context.Context, getter string, u *url.URL) (b bucket, key string, err error) {
	if getter == "gcs" {
		return c.openGCS(ctx, u)
	}
	return c.openS3(ctx, u)
}

// objectSource is a [transfer.Source] of an object that a URL names.
type objectSource struct{ *download }

func (s objectSource) Open(ctx context.Context, offset int64, of store.Origin) (*transfer.Part, error) {
	return s.watched(ctx, offset, func(ctx context.Context) (*transfer.Part, error) {
		b, key, err := s.openBucket(ctx, s.src.getter, s.src.url)
		if err != nil {
			return nil, err
		}
		part, err := b.open(ctx, key, offset, of)
		if err != nil {
			return nil, errors.Join(err, b.Close())
		}
		part.Origin.URL = s.src.shown
		part.ReadCloser = &objectBody{ReadCloser: part.ReadCloser, bucket: b}
		return part, nil
	})
}

// watched has a client library ask for an object, and watches that something moves.
func (c *Client) watched(ctx context.Context, offset int64, open func(ctx context.Context) (*transfer.Part, error)) (*transfer.Part, error) {
	w := transfer.NewWatchdog(ctx, c.options.IdleTimeout)
	part, err := open(w.Context())
	w.Rest()
	if err != nil {
		err = cmp.Or(w.Reason(), objectError(err))
		w.Stop()
		e, ok := errors.AsType[*transfer.StatusError](err)
		if ok && offset > 0 && slices.Contains(objectChanged, e.Code) {
			return nil, &transfer.ChangedError{Reason: "the object has changed"}
		}
		return nil, err
	}
	part.ReadCloser = &watchedObject{part.ReadCloser, w}
	return part, nil
}

// objectChanged are the answers to a request for the rest of an object that has
// changed: it is not the one that was asked for, it is shorter, or its version is gone.
var objectChanged = []int{http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable, http.StatusNotFound}

// objectBody is an object that is read, and closes the bucket.
type objectBody struct {
	io.ReadCloser
	bucket bucket
}

func (b *objectBody) Close() error { return errors.Join(b.ReadCloser.Close(), b.bucket.Close()) }

// watchedObject is an object that is read under watch.
type watchedObject struct {
	io.ReadCloser
	watch *transfer.Watchdog
}

func (o *watchedObject) Read(p []byte) (int, error) {
	o.watch.Wake()
	n, err := o.ReadCloser.Read(p)
	o.watch.Rest()
	if err != nil && err != io.EOF {
		err = cmp.Or(o.watch.Reason(), objectError(err))
		if e, ok := errors.AsType[*transfer.StatusError](err); ok && slices.Contains(objectChanged, e.Code) {
			err = errors.New("the object changes while it is read")
		}
	}
	return n, err
}

func (o *watchedObject) Close() error {
	o.watch.Stop()
	return o.ReadCloser.Close()
}

// objects brings the objects below what a URL names to a directory.
func (c *Client) objects(ctx context.Context, getter string, u *url.URL, dir string, obs Observer) error {
	b, dirKey, err := c.openBucket(ctx, getter, u)
	if err != nil {
		return objectError(err)
	}
	defer b.Close()
	var keys []string
	err = c.options.Retry.Do(ctx, obs.Retrying, nil, func() (err error) {
		keys, err = c.keys(ctx, b)
		return err
	})
	for _, key := range keys {
		if err == nil {
			err = c.object(ctx, b, dirKey, key, dir, obs)
		}
	}
	return err
}

func (c *Client) keys(ctx context.Context, b bucket) (keys []string, err error) {
	w := transfer.NewWatchdog(ctx, c.options.IdleTimeout)
	defer w.Stop()
	err = b.list(w.Context(), func(key string) error {
		w.Moved()
		if keys = append(keys, key); len(keys) > maxTreeEntries {
			return transfer.Permanent(fmt.Errorf("it has more than %d objects", maxTreeEntries))
		}
		return nil
	})
	w.Rest() // the connection is closed before the watchdog says why
	if err != nil {
		return nil, cmp.Or(w.Reason(), objectError(err))
	}
	return keys, nil
}

// object brings one object to its file in a directory.
func (c *Client) object(ctx context.Context, b bucket, dirKey, key, dir string, obs Observer) error {
	to, err := objectFile(dirKey, key, dir)
	if err != nil || to == "" {
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return transfer.Local(err)
	}
	rewind := func() error {
		_, err := f.Seek(0, io.SeekStart)
		return errors.Join(err, f.Truncate(0))
	}
	d := &transfer.Download{
		Sink: &transfer.Stream{To: f, Rewind: rewind}, Source: keySource{c, b, key}, Retry: c.options.Retry,
		Observer: Observer{Retrying: obs.Retrying}.Filled(), Expected: -1, CheckTotal: c.checkSize, CheckSize: c.checkSize,
	}
	return errors.Join(d.Run(ctx), transfer.Local(f.Close()))
}

// keySource is a [transfer.Source] of an object with a key.
type keySource struct {
	*Client
	bucket bucket
	key    string
}

func (s keySource) Open(ctx context.Context, offset int64, of store.Origin) (*transfer.Part, error) {
	return s.watched(ctx, offset, func(ctx context.Context) (*transfer.Part, error) { return s.bucket.open(ctx, s.key, offset, of) })
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

// objectError sorts the errors of client libraries, which have repeated what
// is worth it: only a connection that breaks in the middle is left.
func objectError(err error) error {
	if err == nil {
		return nil
	}
	if status := refusalOf(err); status != nil {
		return status
	}
	if e, ok := errors.AsType[*smithyhttp.RequestSendError](err); ok {
		err = e.Err // the rest counts attempts, and has an empty answer
	}
	if transfer.Is[*transfer.LocalError](err) || transfer.Is[*transfer.PermanentError](err) || transfer.Is[*transfer.ChangedError](err) || transfer.Is[*fault.Error](err) {
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
