package serve

import (
	"bytes"
	"fmt"
	"net/http"
	"path"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

// cacheForever is the Cache-Control of content that never changes under its URL (RFC 8246).
const cacheForever = "public, max-age=31536000, immutable"

func (h *Handler) file(w http.ResponseWriter, r *http.Request, v *version, f site.File) {
	cached := h.verifier.fromMemory(f.Path)
	var content *content
	if cached == nil {
		var err error
		if content, err = h.verifier.open(r.Context(), v, f); err != nil {
			if r.Context().Err() != nil {
				panic(http.ErrAbortHandler) // the client is gone
			}
			if v.retired.Load() {
				refuse(w, http.StatusNotFound, "this file was removed from the mirror")
				return
			}
			h.fail(w, fmt.Errorf("serving %s: %w", f.Path, err))
			return
		}
		defer content.Close()
	}
	w.Header().Set("Content-Type", fileType(f.Path))
	h.cache(w, cacheForever)
	w.Header().Set("ETag", entityTag(f.SHA256))
	normalizeRange(r, f.Size)
	if cached != nil {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(cached))
		return
	}
	allowDirect(w, r, f.Size)
	http.ServeContent(w, r, "", time.Time{}, content)
	if content.err != nil {
		h.options.Problem(fmt.Errorf("serving %s: %w", f.Path, content.err))
		panic(http.ErrAbortHandler) // cuts the connection, so that the client notices that a part is missing
	}
}

// fail answers with status 500. Only the log says what is wrong.
func (h *Handler) fail(w http.ResponseWriter, err error) {
	h.options.Problem(err)
	refuse(w, http.StatusInternalServerError, "the mirror cannot serve this file: it is damaged or missing; see the mirror's log")
}

// fileType returns the media type of an upstream file. It is never text, so that no client converts or
// displays the file.
func fileType(p string) string {
	switch path.Ext(p) {
	case ".gz", ".tgz":
		return "application/gzip"
	case ".zip":
		return "application/zip"
	}
	return "application/octet-stream"
}
