package serve

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form/page"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

// addPages adds the HTML pages, which a site has as files.
func (h *Handler) addPages(c *catalog) {
	var all []site.Paged
	for _, v := range c.versions {
		p := site.Paged{Lock: v.Lock, Made: v.Made, Password: h.options.Passwords != nil}
		all = append(all, p)
		h.addPage(c, v.Tag+"/", func(base string) ([]byte, error) {
			at := p
			at.BaseURL = base
			return site.VersionPage(at)
		})
		c.paths[v.Tag] = withSlash(v.Tag)
	}
	if len(all) == 0 {
		c.paths[""] = &place{answer: h.ready}
		return
	}
	h.addPage(c, "", func(base string) ([]byte, error) {
		at := slices.Clone(all)
		for i := range at {
			at[i].BaseURL = base
		}
		return site.RootPage(at)
	})
}

// withSlash redirects from a directory's path without a slash at the end: relative URLs on the page
// need the slash.
func withSlash(name string) *place {
	to := &url.URL{Path: name + "/"} // relative: a proxy may have removed a prefix
	return &place{answer: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to.String())
		refuse(w, http.StatusMovedPermanently, "moved to "+to.String())
	}}
}

// addPage adds the page of a directory.
func (h *Handler) addPage(c *catalog, dir string, render func(base string) ([]byte, error)) {
	answer := func(w http.ResponseWriter, r *http.Request) {
		base, err := h.base(r)
		if err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		d, err := c.pages.get(dir, base, render)
		if err != nil {
			h.fail(w, fmt.Errorf("making the page of /%s for %s: %w", dir, base, err))
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", page.Policy())
		w.Header().Set("Referrer-Policy", "no-referrer")
		h.cache(w, "no-cache")
		w.Header().Set("ETag", entityTag(d.sum))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.data))
	}
	c.paths[dir], c.paths[dir+page.Name] = &place{answer: answer}, &place{answer: answer}
}

// pageCache keeps the latest pages. Its size is limited, as that of a [renderCache].
type pageCache struct {
	mu sync.Mutex
	// kept is in the order of use, the latest last.
	kept []keptPage
}

type keptPage struct {
	dir, base string
	document
}

const maxPages = 8

// get returns the page of a directory for a base URL. It renders one at a time.
func (c *pageCache) get(dir, base string, render func(base string) ([]byte, error)) (document, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.IndexFunc(c.kept, func(p keptPage) bool { return p.dir == dir && p.base == base }); i >= 0 {
		found := c.kept[i]
		c.kept = append(slices.Delete(c.kept, i, i+1), found)
		return found.document, nil
	}
	data, err := render(base)
	if err != nil {
		return document{}, err
	}
	made := keptPage{dir, base, document{data, lock.Sum(data)}}
	if len(c.kept) >= maxPages {
		c.kept = slices.Delete(c.kept, 0, 1)
	}
	c.kept = append(c.kept, made)
	return made.document, nil
}
