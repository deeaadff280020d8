package registry

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// MaxManifest is the largest size of a manifest, in bytes. Registries need not accept larger ones
// (distribution specification, "Pushing Manifests").
const MaxManifest = 4 << 20

// accepted has the media types of manifests for the header field Accept.
var accepted = []string{
	"application/vnd.oci.image.index.v1+json",
	"application/vnd.oci.image.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.list.v2+json",
	"application/vnd.docker.distribution.manifest.v2+json",
}

// Manifest is a manifest or an image index in a registry.
type Manifest struct {
	// MediaType is the mediaType in Data, or else the registry's Content-Type. The digest covers the
	// former but not the latter.
	MediaType string
	Data      []byte
	// Digest is the sha256 of Data.
	Digest lock.SHA256
}

// Manifest returns the manifest with a tag or a digest (sha256:…), and checks its digest. If there is
// none, [IsNotFound] is true for the error.
func (r *Repository) Manifest(ctx context.Context, tagOrDigest string) (Manifest, error) {
	if err := r.checkIdentifier(tagOrDigest); err != nil {
		return Manifest{}, err
	}
	doing := "reading " + r.name.reference(tagOrDigest)
	var m Manifest
	err := r.client.retry(ctx, doing, nil, func() (err error) {
		m, err = r.manifest(ctx, tagOrDigest)
		return err
	})
	return m, r.failure(ctx, doing, err)
}

// checkIdentifier returns an error unless its argument is a tag or a sha256 digest. Anything else
// could name another path of the registry, or content that is not checked.
func (r *Repository) checkIdentifier(tagOrDigest string) error {
	if _, err := ParseDigest(tagOrDigest); err == nil || lock.IsTag(tagOrDigest) {
		return nil
	}
	return fault.New(fault.Integrity, "%.100q is neither a tag nor a sha256 digest of %s", tagOrDigest, r.name)
}

func (r *Repository) manifest(ctx context.Context, tagOrDigest string) (Manifest, error) {
	q := request{method: http.MethodGet, url: r.url("manifests", tagOrDigest), header: http.Header{"Accept": accepted}}
	resp, err := r.exchange(ctx, q, http.StatusOK)
	if err != nil {
		return Manifest{}, err
	}
	defer resp.Close()
	data, err := disk.ReadAtMost(resp, MaxManifest)
	if transfer.Is[*disk.TooLongError](err) {
		err = transfer.Permanent(err)
	}
	if err != nil {
		return Manifest{}, err
	}
	m := Manifest{MediaType: mediaType(resp.Header), Data: data, Digest: lock.Sum(data)}
	var said struct {
		MediaType string `json:"mediaType"`
	}
	if json.Unmarshal(data, &said) == nil && said.MediaType != "" {
		m.MediaType = said.MediaType
	}
	for _, want := range []string{tagOrDigest, resp.Header.Get("Docker-Content-Digest")} {
		if d, err := ParseDigest(want); err == nil && d != m.Digest {
			return Manifest{}, wrongDigest("the downloaded manifest", m.Digest, d)
		}
	}
	return m, nil
}

// PutManifest writes a manifest under a tag or its own digest. The repository must already have the
// blobs and manifests that it names.
func (r *Repository) PutManifest(ctx context.Context, tagOrDigest, mediaType string, data []byte) error {
	if err := r.checkIdentifier(tagOrDigest); err != nil {
		return err
	}
	doing := "writing " + r.name.reference(tagOrDigest)
	err := r.client.retry(ctx, doing, nil, func() error {
		_, err := r.putManifest(ctx, tagOrDigest, mediaType, data)
		return err
	})
	return r.failure(ctx, doing, err)
}

// putManifest writes a manifest and returns the header fields of the answer.
func (r *Repository) putManifest(ctx context.Context, tagOrDigest, mediaType string, data []byte) (http.Header, error) {
	q := request{method: http.MethodPut, url: r.url("manifests", tagOrDigest), header: http.Header{"Content-Type": {mediaType}}, data: data}
	resp, err := r.exchange(ctx, q, stored...)
	if err != nil {
		return nil, err
	}
	_ = resp.Close()
	sum := lock.Sum(data)
	if d, err := ParseDigest(resp.Header.Get("Docker-Content-Digest")); err == nil && d != sum {
		return nil, wrongDigest("the manifest that the registry received", d, sum)
	}
	if resp.StatusCode == http.StatusCreated {
		return resp.Header, nil
	}
	there, err := r.manifest(ctx, tagOrDigest)
	switch {
	case IsNotFound(err):
		err = notStored(resp.StatusCode)
	case err == nil && there.Digest != sum:
		err = wrongDigest("the manifest in the registry now", there.Digest, sum)
	}
	return resp.Header, err
}

// HasBlob reports whether the repository has a blob, and its size in bytes; -1 if the registry does
// not say.
func (r *Repository) HasBlob(ctx context.Context, d lock.SHA256) (size int64, ok bool, err error) {
	doing := "looking for " + r.name.reference(digestPrefix+d.String())
	err = r.client.retry(ctx, doing, nil, func() error {
		size, ok, err = r.hasBlob(ctx, d)
		return err
	})
	return size, ok, r.failure(ctx, doing, err)
}

func (r *Repository) hasBlob(ctx context.Context, d lock.SHA256) (size int64, ok bool, err error) {
	q := request{method: http.MethodHead, url: r.url("blobs", digestPrefix+d.String())}
	resp, err := r.exchange(ctx, q, http.StatusOK, http.StatusPartialContent)
	if e, ok := errors.AsType[*statusError](err); ok && !e.page && e.stage != stageToken && refusesHead[e.Code] {
		q.method, q.header = http.MethodGet, http.Header{"Range": {"bytes=0-0"}}
		resp, err = r.exchange(ctx, q, http.StatusOK, http.StatusPartialContent)
	}
	switch {
	case IsNotFound(err):
		return 0, false, nil
	case redirectsToStorage(err):
		return -1, true, nil
	case err != nil:
		return 0, false, err
	}
	defer resp.Close()
	return sizeOf(resp), true, nil
}

// redirectsToStorage reports whether a registry redirects to its storage, which this machine cannot
// reach. Then the registry has the blob, and checks it when a manifest names it.
func redirectsToStorage(err error) bool {
	e, ok := errors.AsType[*transfer.RedirectError](err)
	return (ok && e.InClear || transfer.Is[*transfer.RedirectedError](err)) && !transfer.Is[*loginError](err)
}

// refusesHead has the statuses with which proxies before a registry refuse HEAD, but not GET.
var refusesHead = map[int]bool{
	http.StatusUnauthorized: true, http.StatusForbidden: true, http.StatusMethodNotAllowed: true, http.StatusNotImplemented: true,
}

// sizeOf returns the size of a blob in bytes, from the answer to a request for it or for its first
// byte; -1 if unknown.
func sizeOf(resp *transfer.Response) int64 {
	text := resp.Header.Get("Content-Length")
	if resp.StatusCode == http.StatusPartialContent {
		_, text, _ = strings.Cut(resp.Header.Get("Content-Range"), "/")
	}
	size, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return -1
	}
	return size
}

func (r *Repository) failure(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	err = r.client.failure(ctx, doing+r.from(), r.asked.host, err)
	hint := r.rule
	if r.unruled && fault.KindOf(err) == fault.Upstream && !transfer.Is[*statusError](err) {
		hint = "no --via rule matches this repository: add one if its registry cannot be reached directly"
	}
	if hint == "" || ctx.Err() != nil {
		return err
	}
	if before := fault.HintOf(err); before != "" && !(IsNotFound(err) && r.rule != "") {
		hint = before + "\n" + hint
	}
	return fault.New(fault.KindOf(err), "%w", err).WithHint("%s", hint)
}

// at returns the URL of a path below /v2/.
func (r *Repository) at(path string) *url.URL {
	scheme := "https"
	if r.client.PlainHTTP {
		scheme = "http"
	}
	return &url.URL{Scheme: scheme, Host: r.host, Path: "/v2/" + path}
}

// url returns the URL of the repository's /KIND/ID.
func (r *Repository) url(kind, id string) *url.URL { return r.at(r.path + "/" + kind + "/" + id) }

// reference returns the name with a tag or a digest.
func (n Name) reference(tagOrDigest string) string {
	if strings.Contains(tagOrDigest, ":") {
		return n.String() + "@" + tagOrDigest
	}
	return n.String() + ":" + tagOrDigest
}

func mediaType(h http.Header) string {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}
