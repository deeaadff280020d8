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

	"golang.org/x/oauth2"

	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// bucket is what differs between the object stores.
type bucket interface {
	// object returns the URL of an object. If there is a version, it has a request ask for
	// no other.
	object(key, version string, h http.Header) *url.URL
	// versionOf returns what names an object's version in an answer; or "".
	versionOf(h http.Header) string
	// page returns the URL of the list of keys that begin as a URL's, after another page.
	page(after string) *url.URL
	// keys reads a page; after is empty if it is the last.
	keys(page []byte) (keys []string, after string, err error)
	// sign proves in a request who asks.
	sign(ctx context.Context, req *http.Request) error
}

// objects is a bucket, and how to ask for what is in it.
type objects struct {
	*Client
	bucket
	http *transfer.Client
	// store is what messages call the other side.
	store string
	// key is that of the object or the directory that a URL names.
	key   string
	close func()
}

// What messages call the other sides.
const (
	objectStore = "the object store"
	googleStore = "Google Cloud Storage"
)

// openObjects opens the bucket that a URL names.
func (c *Client) openObjects(ctx context.Context, getter string, u *url.URL) (*objects, error) {
	if getter == "gcs" {
		return c.openGCS(ctx, u)
	}
	return c.openS3(ctx, u)
}

// staying is a transport whose redirects are not followed: net/http wants to know where
// one leads. What proves who asks is for one host.
type staying struct{ http.RoundTripper }

func (s staying) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(req)
	if err == nil {
		resp.Header.Del("Location")
	}
	return resp, err
}

// ask sends a request, and returns the answer, whatever its status.
func (o *objects) ask(ctx context.Context, u *url.URL, header http.Header) (*transfer.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, transfer.Permanent(transfer.WithoutURL(err))
	}
	req.Header = header
	patient, cancel := context.WithTimeout(ctx, o.cfg.IdleTimeout)
	defer cancel()
	if err := o.sign(patient, req); err != nil {
		return nil, cmp.Or(context.Cause(ctx), o.unknown(err))
	}
	// The signature leaves these out, because proxies change them.
	req.Header.Set("User-Agent", o.cfg.UserAgent)
	req.Header.Set("Accept-Encoding", "identity")
	return o.http.Do(req, 0)
}

// unknown says why there are no credentials. It does not quote the server that gives them out:
// that server was shown other credentials, and may repeat them.
func (o *objects) unknown(err error) error {
	missing := fault.New(fault.Upstream, "there are no credentials for %s", o.store).WithHint("%s", credentialsHint(o.store))
	if errors.Is(err, errNoCredentials) {
		return missing
	}
	if e, ok := errors.AsType[*refusedCredentials](err); ok {
		return transfer.NewRefusal(o.store, e.status, nil)
	}
	if e, ok := errors.AsType[*unusableProfile](err); ok {
		return fault.New(fault.Upstream, "%w: %w", missing, err).
			WithHint(`have AWS's tools give them: eval "$(aws configure export-credentials --profile %s --format env)"; or: %s`, transfer.Printable(e.profile, 100), fault.HintOf(missing))
	}
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok && e.Response != nil {
		return transfer.NewRefusal(o.store, e.Response.StatusCode, e.Response.Header)
	}
	if transfer.Is[net.Error](err) {
		return transfer.WithoutURL(err)
	}
	return fault.New(fault.Upstream, "%w: %w", missing, transfer.WithoutURL(err)).WithHint("%s", fault.HintOf(missing))
}

// refusedAs finds the code of a refusal: in XML (Amazon S3 API Reference, Error
// responses), or in the JSON of Google's API.
var refusedAs = lazyregexp.New(`<Code>(\w+)</Code>|"reason":\s*"(\w+)"`)

// knownCodes tell refusals apart that have the same status (Amazon S3 API Reference,
// List of error codes).
var knownCodes = []string{
	"AccessDenied", "AllAccessDisabled", "AuthorizationHeaderMalformed", "ExpiredToken", "InvalidAccessKeyId", "InvalidObjectState", "InvalidToken",
	"NoSuchBucket", "NoSuchKey", "NoSuchVersion", "PermanentRedirect", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "SlowDown", "TemporaryRedirect",
}

// refusal returns what an object store answers in the place of what was asked for. Its
// messages are not quoted: it has been shown credentials.
func (o *objects) refusal(resp *transfer.Response) error {
	status := transfer.NewRefusal(o.store, resp.StatusCode, resp.Header)
	body, _ := io.ReadAll(io.LimitReader(resp, 4<<10))
	if code := refusedAs.FindStringSubmatch(string(body)); code != nil {
		name := code[1] + code[2]
		if slices.Contains(knownCodes, name) {
			status.Says = name
		}
		status.Told("", name)
	}
	if region := resp.Header.Get("X-Amz-Bucket-Region"); region != "" && resp.StatusCode < http.StatusInternalServerError {
		status.Says = strings.TrimPrefix(status.Says+", the bucket is in ", ", ") + transfer.Printable(region, 40)
	}
	return status
}

// objectSource is a [transfer.Source] of an object.
type objectSource struct {
	*objects
	key string
	// shown is the URL without anything secret.
	shown string
}

func (s objectSource) Open(ctx context.Context, offset int64, of store.Origin) (*transfer.Part, error) {
	h, version := http.Header{}, ""
	if offset > 0 {
		h.Set("Range", fmt.Sprintf("bytes=%d-", offset))
		version = of.Validator
	}
	resp, err := s.ask(ctx, s.object(s.key, version, h), h)
	if err != nil {
		return nil, err
	}
	part, err := s.part(resp, offset, of)
	if err != nil {
		resp.Close()
	}
	return part, err
}

func (s objectSource) part(resp *transfer.Response, offset int64, of store.Origin) (*transfer.Part, error) {
	switch {
	case resp.StatusCode == http.StatusOK:
	case resp.StatusCode == http.StatusPartialContent && offset > 0:
		return restOf(resp, offset, of)
	// It is another object, it is shorter, or its version is gone.
	case offset > 0 && slices.Contains([]int{http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable, http.StatusNotFound}, resp.StatusCode):
		return nil, &transfer.ChangedError{Reason: "the object has changed"}
	default:
		return nil, s.refusal(resp)
	}
	origin := store.Origin{
		URL: s.shown, ETag: resp.Header.Get("ETag"), Validator: s.versionOf(resp.Header), Total: max(resp.ContentLength, 0),
		// Google's store undoes a coding that an object is stored with (Google Cloud
		// documentation, Transcoding of gzip-compressed files).
		Decoded: resp.Header.Get("X-Goog-Stored-Content-Encoding") == "gzip" && resp.Header.Get("Content-Encoding") != "gzip",
	}
	part := &transfer.Part{ReadCloser: resp, End: resp.ContentLength, Total: resp.ContentLength, Origin: origin}
	if offset > 0 && (origin.ETag != of.ETag || origin.Validator != of.Validator) {
		part.Void = "the object has changed"
	}
	return part, nil
}

// objects brings the objects below what a URL names to a directory.
func (c *Client) objects(ctx context.Context, getter string, u *url.URL, dir string, obs Observer) error {
	o, err := c.openObjects(ctx, getter, u)
	if err != nil {
		return err
	}
	defer o.close()
	var keys []string
	err = c.cfg.Retry.Do(ctx, obs.Retrying, nil, func() (err error) {
		keys, err = o.list(ctx)
		return err
	})
	for _, key := range keys {
		if err == nil {
			err = o.get(ctx, key, dir, obs)
		}
	}
	return err
}

// maxPage bounds, in bytes, a page of a list: a thousand keys of a KiB, each of whose
// bytes may be escaped.
const maxPage = 16 << 20

func (o *objects) list(ctx context.Context) (keys []string, err error) {
	for after, more := "", true; more; more = after != "" {
		page, err := o.readPage(ctx, after)
		if err != nil {
			return nil, err
		}
		var listed []string
		before := after
		if listed, after, err = o.keys(page); err != nil || after != "" && after == before {
			return nil, transfer.Permanent(fmt.Errorf("%s does not list its objects as it should", o.store))
		}
		if keys = append(keys, listed...); len(keys) > maxTreeEntries {
			return nil, transfer.Permanent(fmt.Errorf("it has more than %d objects", maxTreeEntries))
		}
	}
	return keys, nil
}

func (o *objects) readPage(ctx context.Context, after string) ([]byte, error) {
	resp, err := o.ask(ctx, o.page(after), http.Header{})
	if err != nil {
		return nil, err
	}
	defer resp.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, o.refusal(resp)
	}
	page, err := disk.ReadAtMost(resp, maxPage)
	if transfer.Is[*disk.TooLongError](err) {
		err = transfer.Permanent(err)
	}
	return page, err
}

// get brings one object to its file in a directory.
func (o *objects) get(ctx context.Context, key, dir string, obs Observer) error {
	to, err := objectFile(o.key, key, dir)
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
		Sink: &transfer.Stream{To: f, Rewind: rewind}, Source: objectSource{objects: o, key: key}, Retry: o.cfg.Retry,
		Observer: Observer{Retrying: obs.Retrying}.Filled(), Expected: -1, CheckTotal: o.checkSize, CheckSize: o.checkSize,
	}
	return errors.Join(d.Run(ctx), transfer.Local(f.Close()))
}

// objectFile returns where in a directory an object belongs; or "" if it stands for a
// directory itself, or is none of the directory, as t-old/a is none of t.
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

// objectURL returns the URL of what lies at a path of a server, which it sees as it is:
// no character but a slash means anything in a key.
func objectURL(server url.URL, path string, q url.Values) *url.URL {
	escaped := strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(path), "%2F", "/"), "+", "%20")
	server.RawPath = strings.TrimSuffix(server.EscapedPath(), "/") + escaped
	server.Path = strings.TrimSuffix(server.Path, "/") + path
	server.RawQuery = q.Encode()
	return &server
}
