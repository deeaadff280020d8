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

// MaxManifest bounds, in bytes, a manifest that is read. Registries take none
// that is larger (distribution specification, "Pushing Manifests").
const MaxManifest = 4 << 20

// accepted are the manifests that are asked for.
var accepted = []string{
	"application/vnd.oci.image.index.v1+json",
	"application/vnd.oci.image.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.list.v2+json",
	"application/vnd.docker.distribution.manifest.v2+json",
}

// Manifest is a manifest as a registry has it.
type Manifest struct {
	// MediaType is what the document says that it is, or, where it says
	// nothing, what the registry says. The document has a digest; the header
	// field has none.
	MediaType string
	Data      []byte
	// Digest is that of Data.
	Digest lock.SHA256
}

// Manifest returns what has a tag or a digest (sha256:…), and compares the
// digest. [IsNotFound] is true for the error where there is nothing.
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

// checkIdentifier refuses what is neither a tag nor a digest: it would lead
// elsewhere on the registry, or stand for content that is not compared with it.
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
			return Manifest{}, wrongDigest("what came", m.Digest, d)
		}
	}
	return m, nil
}

// PutManifest writes a manifest under a tag or its own digest. What it names
// must be there already.
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

// putManifest returns the header of the answer.
func (r *Repository) putManifest(ctx context.Context, tagOrDigest, mediaType string, data []byte) (http.Header, error) {
	q := request{method: http.MethodPut, url: r.url("manifests", tagOrDigest), header: http.Header{"Content-Type": {mediaType}}, data: data}
	resp, err := r.exchange(ctx, q, stored...)
	if err != nil {
		return nil, err
	}
	_ = resp.Close()
	sum := lock.Sum(data)
	if d, err := ParseDigest(resp.Header.Get("Docker-Content-Digest")); err == nil && d != sum {
		return nil, wrongDigest("what the registry received", d, sum)
	}
	if resp.StatusCode == http.StatusCreated {
		return resp.Header, nil
	}
	there, err := r.manifest(ctx, tagOrDigest)
	switch {
	case IsNotFound(err):
		err = notStored(resp.StatusCode)
	case err == nil && there.Digest != sum:
		err = wrongDigest("what the registry has now", there.Digest, sum)
	}
	return resp.Header, err
}

// HasBlob returns the size of a blob, which is -1 where the registry does not say.
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

// redirectsToStorage reports whether a registry leads to its storage, which cannot be
// reached from here. So it has the blob, and compares it when a manifest names it.
func redirectsToStorage(err error) bool {
	e, ok := errors.AsType[*transfer.RedirectError](err)
	return (ok && e.InClear || transfer.Is[*transfer.RedirectedError](err)) && !transfer.Is[*loginError](err)
}

// refusesHead has the answers of what stands before a registry and lets no HEAD
// pass, while it lets GET pass.
var refusesHead = map[int]bool{
	http.StatusUnauthorized: true, http.StatusForbidden: true, http.StatusMethodNotAllowed: true, http.StatusNotImplemented: true,
}

// sizeOf returns how many bytes a blob has of which an answer tells, or has the
// first; -1 where it does not say.
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

// at returns where something is on the registry.
func (r *Repository) at(path string) *url.URL {
	scheme := "https"
	if r.client.PlainHTTP {
		scheme = "http"
	}
	return &url.URL{Scheme: scheme, Host: r.host, Path: "/v2/" + path}
}

// url returns where something of the repository is.
func (r *Repository) url(kind, id string) *url.URL { return r.at(r.path + "/" + kind + "/" + id) }

// reference returns a name with a tag or a digest.
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
