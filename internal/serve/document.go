package serve

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

// document is a small file that depends on the base URL.
type document struct {
	data []byte
	sum  lock.SHA256
}

// editions are the documents of versions for the base URLs that were last asked
// for. Requests name hosts, so whoever asks decides how many there are: only
// some are kept.
type editions struct {
	mu   sync.Mutex
	kept []edition
}

type edition struct {
	version   *Version
	base      string
	documents map[string]document
}

// maxEditions bounds how many are kept.
const maxEditions = 16

// of returns the documents of a version for a base URL, by path. It makes one
// edition at a time, lest strange hosts take more than one processor.
func (e *editions) of(v *Version, base string) (map[string]document, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.IndexFunc(e.kept, func(k edition) bool { return k.version == v && k.base == base })
	if i >= 0 {
		found := e.kept[i]
		e.kept = append(slices.Delete(e.kept, i, i+1), found)
		return found.documents, nil
	}
	list, err := site.Documents(v.Lock, base, v.Indexes)
	if err != nil {
		return nil, err
	}
	made := edition{v, base, map[string]document{}}
	for _, d := range list {
		made.documents[d.Path] = document{d.Data, lock.Sum(d.Data)}
	}
	if len(e.kept) >= maxEditions {
		e.kept = slices.Delete(e.kept, 0, 1)
	}
	e.kept = append(e.kept, made)
	return made.documents, nil
}

// document answers with a document of a version.
func (h *Handler) document(w http.ResponseWriter, r *http.Request, v *Version, p string) {
	base, err := h.base(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	documents, err := h.editions.of(v, base)
	if err != nil {
		h.fail(w, fmt.Errorf("making %s for %s: %w", p, base, err))
		return
	}
	d := documents[p]
	w.Header().Set("Content-Type", documentType(p))
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", entityTag(d.sum))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.data))
}

// documentType returns the media type of a document: RFC 9512 has that of YAML.
func documentType(p string) string {
	switch path.Ext(p) {
	case ".yaml":
		return "application/yaml"
	case ".json":
		return "application/json"
	}
	return "text/plain; charset=utf-8"
}

// entityTag returns a strong one (RFC 9110, section 8.8.3).
func entityTag(sum lock.SHA256) string { return `"` + sum.String() + `"` }

// base returns what URLs begin with in what a request is answered. What a proxy
// says in X-Forwarded-Host and the like anybody can say, so it does not count.
func (h *Handler) base(r *http.Request) (string, error) {
	if h.options.BaseURL != "" {
		return h.options.BaseURL, nil
	}
	if err := checkHost(r.Host); err != nil {
		return "", err
	}
	scheme := "http"
	if h.options.TLS {
		scheme = "https"
	}
	return scheme + "://" + strings.ToLower(r.Host), nil
}

// hostForm is a name or an IPv4 address, or an IPv6 address in brackets, and
// perhaps a port (RFC 3986, section 3.2.2), of the characters that names have in
// practice.
var hostForm = regexp.MustCompile(`^(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{1,5}))?$`)

// maxHost bounds, in bytes, a host with its port: a name has at most 253
// (RFC 1035, section 2.3.4).
const maxHost = 253 + len(":65535")

func checkHost(host string) error {
	m := hostForm.FindStringSubmatch(host)
	if m == nil || len(host) > maxHost || strings.Contains(host, "..") {
		return fault.New(fault.Usage, "the request names no host that URLs could begin with")
	}
	if _, err := strconv.ParseUint(cmp.Or(m[2], "0"), 10, 16); err != nil {
		return fault.New(fault.Usage, "the request names a port that there is not")
	}
	if m[1] == "" {
		return nil
	}
	if a, err := netip.ParseAddr(m[1]); err != nil || !a.Is6() {
		return fault.New(fault.Usage, "the request names no IPv6 address in its brackets")
	}
	return nil
}

// overview answers people with what there is.
func (h *Handler) overview(w http.ResponseWriter, r *http.Request) {
	base, err := h.base(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	var out strings.Builder
	for _, v := range h.options.Versions {
		fmt.Fprintf(&out, "%s\n", v.Tag)
		for _, repository := range v.Lock.Repositories {
			at, err := site.IndexURL(base, v.Lock, repository.Name)
			if err != nil {
				h.fail(w, err)
				return
			}
			fmt.Fprintf(&out, "  plugins.repositories.%s.url: %s\n", repository.Name, at)
		}
		templates, err := site.Templates(base, v.Lock)
		if err != nil {
			h.fail(w, err)
			return
		}
		for _, t := range templates {
			fmt.Fprintf(&out, "  templates[].ref of %s/%s, in place of %s: %s\n", t.Plugin.Repository, t.Plugin.Name, t.Ref, t.URL)
		}
	}
	writeText(w, r, out.String())
}

func writeText(w http.ResponseWriter, r *http.Request, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
}
