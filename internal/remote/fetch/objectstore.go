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

// bucket has what differs between S3 and Google Cloud Storage.
type bucket interface {
	// object returns the URL of an object. If version is not empty, it limits the request to that
	// version, in the URL or in the header.
	object(key, version string, h http.Header) *url.URL
	// versionOf returns the object's version in an answer, or "".
	versionOf(h http.Header) string
	// page returns the URL of a page of the list of keys below the URL's key. After is empty for the
	// first page, or what keys returned.
	page(after string) *url.URL
	// keys reads a page. After is empty if it is the last.
	keys(page []byte) (keys []string, after string, err error)
	// sign adds credentials to a request.
	sign(ctx context.Context, req *http.Request) error
}

// objects is a bucket with the client that sends its requests.
type objects struct {
	*Client
	bucket
	http *transfer.Client
	// store is the name of the object store in messages.
	store string
	// key is the key of the object or the directory that a URL names.
	key   string
	close func()
}

// The names of object stores in messages.
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

// staying is a transport without redirects: it removes the header field Location, so that net/http
// cannot follow it. A signature is for one host only.
type staying struct{ http.RoundTripper }

func (s staying) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(req)
	if err == nil {
		resp.Header.Del("Location")
	}
	return resp, err
}

// ask sends a signed request and returns the answer, whatever its status.
func (o *objects) ask(ctx context.Context, u *url.URL, header http.Header) (*transfer.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, transfer.Permanent(transfer.WithoutURL(err))
	}
	req.Header = header
	patient, cancel := context.WithTimeout(ctx, o.cfg.IdleTimeout)
	defer cancel()
	if err := o.sign(patient, req); err != nil {
		return nil, cmp.Or(context.Cause(ctx), o.noCredentials(err))
	}
	// These come after the signature, because proxies change them.
	req.Header.Set("User-Agent", o.cfg.UserAgent)
	req.Header.Set("Accept-Encoding", "identity")
	return o.http.Do(req, 0)
}

// noCredentials returns the error for credentials that could not be obtained. It does not quote the
// server that issues them: that server got other credentials, and may repeat them.
func (o *objects) noCredentials(err error) error {
	missing := fault.New(fault.Upstream, "there are no credentials for %s", o.store).WithHint("%s", credentialsHint(o.store))
	if errors.Is(err, errNoCredentials) {
		return missing
	}
	if e, ok := errors.AsType[*refusedCredentials](err); ok {
		return transfer.NewRefusal(o.store, e.status, nil)
	}
	if e, ok := errors.AsType[*unusableProfile](err); ok {
		return fault.New(fault.Upstream, "%w: %w", missing, err).
			WithHint("export the profile's credentials: eval \"$(aws configure export-credentials --profile %s --format env)\"\n%s", fault.Quote(transfer.Printable(e.profile, 100)), fault.HintOf(missing))
	}
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok && e.Response != nil {
		return transfer.NewRefusal(o.store, e.Response.StatusCode, e.Response.Header)
	}
	if transfer.Is[net.Error](err) {
		return transfer.WithoutURL(err)
	}
	return fault.New(fault.Upstream, "%w: %w", missing, transfer.WithoutURL(err)).WithHint("%s", fault.HintOf(missing))
}

// refusedAs finds the error code in a refusal: XML (Amazon S3 API Reference, Error responses) or the
// JSON of Google's API.
var refusedAs = lazyregexp.New(`<Code>(\w+)</Code>|"reason":\s*"(\w+)"`)

// knownCodes are the error codes that messages show (Amazon S3 API Reference, List of error codes).
var knownCodes = []string{
	"AccessDenied", "AllAccessDisabled", "AuthorizationHeaderMalformed", "ExpiredToken", "InvalidAccessKeyId", "InvalidObjectState", "InvalidToken",
	"NoSuchBucket", "NoSuchKey", "NoSuchVersion", "PermanentRedirect", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "SlowDown", "TemporaryRedirect",
}

// refusal returns an answer as an error. It does not quote the store's message, which may repeat
// credentials.
func (o *objects) refusal(resp *transfer.Response) error {
	status := transfer.NewRefusal(o.store, resp.StatusCode, resp.Header)
	body, _ := io.ReadAll(io.LimitReader(resp, 4<<10))
	if code := refusedAs.FindStringSubmatch(string(body)); code != nil {
		name := code[1] + code[2]
		if slices.Contains(knownCodes, name) {
			status.Says = name
		}
		status.DetectRateLimit("", name)
	}
	if region := resp.Header.Get("X-Amz-Bucket-Region"); region != "" && resp.StatusCode < http.StatusInternalServerError {
		status.Says = strings.TrimPrefix(status.Says+", the bucket is in ", ", ") + transfer.Printable(region, 40)
	}
	return status
}

// objectSource is a [transfer.Source] for an object.
type objectSource struct {
	*objects
	key string
	// shown is the URL without secrets.
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
	// The object was replaced, it is shorter, or its version was removed.
	case offset > 0 && slices.Contains([]int{http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable, http.StatusNotFound}, resp.StatusCode):
		return nil, &transfer.ChangedError{Reason: "the object has changed"}
	default:
		return nil, s.refusal(resp)
	}
	origin := store.Origin{
		URL: s.shown, ETag: resp.Header.Get("ETag"), Validator: s.versionOf(resp.Header), Total: max(resp.ContentLength, 0),
		// Google's store decompresses objects that are stored as gzip (Google Cloud documentation,
		// Transcoding of gzip-compressed files).
		Decoded: resp.Header.Get("X-Goog-Stored-Content-Encoding") == "gzip" && resp.Header.Get("Content-Encoding") != "gzip",
	}
	part := &transfer.Part{ReadCloser: resp, End: resp.ContentLength, Total: resp.ContentLength, Origin: origin}
	if offset > 0 && (origin.ETag != of.ETag || origin.Validator != of.Validator) {
		part.Void = "the object has changed"
	}
	return part, nil
}

// objects downloads all objects below a URL's key to a directory.
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

// maxPage is the largest size in bytes of a page: it has up to a thousand keys of a KiB, and each byte
// may be escaped.
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
			return nil, transfer.Permanent(fmt.Errorf("%s sent a list of objects that is not valid", o.store))
		}
		if keys = append(keys, listed...); len(keys) > maxTreeEntries {
			return nil, transfer.Permanent(fmt.Errorf("the directory has more than %d objects", maxTreeEntries))
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

// get downloads one object to its file in a directory.
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

// objectFile returns the path for an object, or "" if the object is a placeholder for a directory, or
// not below dirKey: t-old/a is not below t.
func objectFile(dirKey, key, dir string) (string, error) {
	if strings.HasSuffix(key, "/") || !strings.HasPrefix(key, strings.TrimSuffix(dirKey, "/")+"/") {
		return "", nil
	}
	rel, err := filepath.Rel(dirKey, key)
	if err != nil || !filepath.IsLocal(rel) {
		return "", transfer.Permanent(fmt.Errorf("the object %.200q would be written outside the directory", key))
	}
	to := filepath.Join(dir, rel)
	return to, transfer.Local(os.MkdirAll(filepath.Dir(to), 0o700))
}

// objectURL returns the URL of a path on a server. It escapes all characters of the path but slashes,
// because keys may have any.
func objectURL(server url.URL, path string, q url.Values) *url.URL {
	escaped := strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(path), "%2F", "/"), "+", "%20")
	server.RawPath = strings.TrimSuffix(server.EscapedPath(), "/") + escaped
	server.Path = strings.TrimSuffix(server.Path, "/") + path
	server.RawQuery = q.Encode()
	return &server
}
