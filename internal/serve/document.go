package serve

import (
	"bytes"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

// document answers with a document of a version.
func (h *Handler) document(w http.ResponseWriter, r *http.Request, v *form.Version, p string) {
	base, err := h.base(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	documents, err := h.renders.get(v, base)
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

// overview lists, for people, what is served.
func (h *Handler) overview(w http.ResponseWriter, r *http.Request) {
	base, err := h.base(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	var out strings.Builder
	for _, v := range h.options.Versions {
		fmt.Fprintf(&out, "%s\n", v.Tag)
		indexes := map[string]string{}
		for _, repository := range v.Lock.Repositories {
			if indexes[repository.Name], err = site.IndexURL(base, v.Lock, repository.Name); err != nil {
				h.fail(w, err)
				return
			}
		}
		templates, err := site.Templates(base, v.Lock)
		if err != nil {
			h.fail(w, err)
			return
		}
		out.WriteString(site.Settings(indexes, templates))
	}
	writeText(w, r, out.String())
}

func writeText(w http.ResponseWriter, r *http.Request, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
}
