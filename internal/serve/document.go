package serve

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

func (h *Handler) document(w http.ResponseWriter, r *http.Request, v *version, p string) {
	base, err := h.base(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	documents, err := h.renders.get(v.Version, base)
	if err != nil {
		h.fail(w, fmt.Errorf("making %s for %s: %w", p, base, err))
		return
	}
	d := documents[p]
	w.Header().Set("Content-Type", documentType(p))
	h.cache(w, "no-cache")
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

// entityTag returns a strong entity tag (RFC 9110, section 8.8.3).
func entityTag(sum lock.SHA256) string { return `"` + sum.String() + `"` }

func writeText(w http.ResponseWriter, r *http.Request, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
}

type document struct {
	data []byte
	sum  lock.SHA256
}

// renderCache keeps the documents of versions for the latest base URLs. Its size is limited, because
// clients choose the host and so the base URL.
type renderCache struct {
	mu sync.Mutex
	// kept is in the order of use, the latest last.
	kept []rendering
}

type rendering struct {
	version   *form.Version
	base      string
	documents map[string]document
}

const maxRenderings = 16

// get returns the documents of a version for a base URL, by path. It renders one version at a time, so
// that requests with many hosts use at most one processor.
func (c *renderCache) get(v *form.Version, base string) (map[string]document, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.kept, func(r rendering) bool { return r.version == v && r.base == base })
	if i >= 0 {
		found := c.kept[i]
		c.kept = append(slices.Delete(c.kept, i, i+1), found)
		return found.documents, nil
	}
	list, err := site.Documents(v.Lock, base, v.Indexes)
	if err != nil {
		return nil, err
	}
	made := rendering{v, base, map[string]document{}}
	for _, d := range list {
		made.documents[d.Path] = document{d.Data, lock.Sum(d.Data)}
	}
	if len(c.kept) >= maxRenderings {
		c.kept = slices.Delete(c.kept, 0, 1)
	}
	c.kept = append(c.kept, made)
	return made.documents, nil
}

// base returns the base URL of the documents that answer a request. It ignores
// X-Forwarded-Host and the like, because any client can send them.
func (h *Handler) base(r *http.Request) (string, error) {
	if h.options.BaseURL != "" {
		return h.options.BaseURL, nil
	}
	if err := checkHost(r.Host); err != nil {
		return "", err
	}
	scheme := "http"
	if h.options.Certificate != nil {
		scheme = "https"
	}
	return scheme + "://" + strings.ToLower(r.Host), nil
}

// hostForm matches a host name, an IPv4 address or an IPv6 address in brackets, with or without a port
// (RFC 3986, section 3.2.2). It allows the characters that names have in practice.
var hostForm = lazyregexp.New(`^(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{1,5}))?$`)

// maxHost is the largest length of a host with its port: a name has at most 253 bytes (RFC 1035,
// section 2.3.4).
const maxHost = 253 + len(":65535")

func checkHost(host string) error {
	m := hostForm.FindStringSubmatch(host)
	if m == nil || len(host) > maxHost || strings.Contains(host, "..") {
		return fault.New(fault.Usage, "the request has no valid Host")
	}
	if _, err := strconv.ParseUint(cmp.Or(m[2], "0"), 10, 16); err != nil {
		return fault.New(fault.Usage, "the port in the request's Host is not valid")
	}
	if m[1] == "" {
		return nil
	}
	if a, err := netip.ParseAddr(m[1]); err != nil || !a.Is6() {
		return fault.New(fault.Usage, "the IPv6 address in the request's Host is not valid")
	}
	return nil
}
