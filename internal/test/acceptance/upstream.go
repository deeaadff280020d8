package acceptance

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

// storageHost is where github.com sends those who ask for a release asset.
const storageHost = "objects.githubusercontent.com"

// Upstream is a small part of the internet: files under the URLs that their publishers gave them.
// Publish everything before serving.
type Upstream struct {
	files map[string]file
	// storage has the files of github.com by their path on storageHost.
	storage map[string]file
	// latest is the release that Latest names.
	latest string
}

// The URL that redirects to the newest release, and the page of a release.
const (
	latestURL = "https://github.com/kubeshop/botkube/releases/latest"
	tagURL    = "https://github.com/kubeshop/botkube/releases/tag/"
)

type file struct {
	name    string
	content []byte
	sum     string
}

// NewUpstream returns an empty one.
func NewUpstream() *Upstream {
	return &Upstream{files: map[string]file{}, storage: map[string]file{}}
}

// Publish puts a file at a URL and returns its sha256.
func (u *Upstream) Publish(at string, content []byte) string {
	sum := fmt.Sprintf("%x", sha256.Sum256(content))
	f := file{name: path.Base(at), content: content, sum: sum}
	u.files[at] = f
	if strings.HasPrefix(at, "https://github.com/") {
		u.storage[storagePath(at)] = f
	}
	return sum
}

// But returns a copy in which the URL has another content, or answers 404 if that is nil.
func (u *Upstream) But(at string, content []byte) *Upstream {
	other := &Upstream{files: maps.Clone(u.files), storage: maps.Clone(u.storage), latest: u.latest}
	if content == nil {
		delete(other.files, at)
	} else {
		other.Publish(at, content)
	}
	return other
}

// Latest returns a copy whose newest release is the given one.
func (u *Upstream) Latest(version string) *Upstream {
	other := *u
	other.latest = version
	return &other
}

// ServeHTTP answers HEAD, ranges and conditional requests as the real hosts do, and redirects for github.com.
func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Host == storageHost {
		u.serveStorage(w, r)
		return
	}
	scheme := "https"
	if r.TLS == nil {
		scheme = "http"
	}
	at := scheme + "://" + r.Host + r.URL.Path
	f, found := u.files[at]
	switch {
	case u.latest != "" && at == latestURL:
		http.Redirect(w, r, tagURL+u.latest, http.StatusFound)
	case u.latest != "" && at == tagURL+u.latest:
		fmt.Fprintf(w, "<!DOCTYPE html><title>Release %s</title>", u.latest)
	case !found:
		http.NotFound(w, r)
	case r.Host == "github.com":
		http.Redirect(w, r, signedURL(at, f), http.StatusFound)
	default:
		serveFile(w, r, f)
	}
}

// serveStorage wants the signature that a redirect carried.
func (u *Upstream) serveStorage(w http.ResponseWriter, r *http.Request) {
	f, found := u.storage[r.URL.Path]
	if !found || r.URL.Query().Get("X-Amz-Signature") != f.signature() {
		http.Error(w, "<Error><Code>AccessDenied</Code></Error>", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Disposition", "attachment; filename="+f.name)
	serveFile(w, r, f)
}

func serveFile(w http.ResponseWriter, r *http.Request, f file) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", f.etag())
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}

func signedURL(at string, f file) string {
	q := url.Values{
		"X-Amz-Algorithm":              {"AWS4-HMAC-SHA256"},
		"X-Amz-Expires":                {"300"},
		"X-Amz-Signature":              {f.signature()},
		"response-content-disposition": {"attachment; filename=" + f.name},
	}
	return (&url.URL{Scheme: "https", Host: storageHost, Path: storagePath(at), RawQuery: q.Encode()}).String()
}

func (f file) etag() string { return `"` + f.sum[:16] + `"` }

func (f file) signature() string {
	sum := sha256.Sum256([]byte("signed " + f.sum))
	return hex.EncodeToString(sum[:])
}

// storagePath names an asset without any of the words that its own URL has: who follows a redirect and takes the
// file name or the archive's extension from where it ends up shall notice.
func storagePath(at string) string {
	sum := sha256.Sum256([]byte(at))
	return "/github-production-release-asset-2e65be/" + hex.EncodeToString(sum[:16])
}

func isStorage(at string) bool {
	return strings.HasPrefix(at, "https://"+storageHost+"/")
}
