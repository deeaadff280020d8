package serve

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

// maxRetired is how many replaced or removed versions can still be downloaded.
const maxRetired = 16

// watch looks for changes until ctx is done.
func (h *Handler) watch(ctx context.Context) {
	var tick <-chan time.Time
	if h.options.Interval > 0 {
		ticker := time.NewTicker(h.options.Interval)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
			h.look(ctx, false)
		case <-h.options.Hangup:
			h.look(ctx, true)
		}
	}
}

// look looks for changes, and publishes them: see [Library.look].
func (h *Handler) look(ctx context.Context, atOnce bool) {
	changes, failures := h.options.Library.look(ctx, atOnce, h.check)
	h.metrics.failed.Add(int64(failures))
	h.metrics.failing.Store(h.options.Library.failing())
	if len(changes) == 0 {
		return
	}
	h.metrics.lastChangeUnix.Store(time.Now().Unix())
	var before []*version
	for _, c := range changes {
		if c.before != nil {
			before = append(before, c.before)
		}
	}
	h.publish(h.options.Library.versions(), before...)
	for _, c := range changes {
		map[Event]*atomic.Int64{Added: &h.metrics.added, Replaced: &h.metrics.replaced, Removed: &h.metrics.removed}[c.Event].Add(1)
		h.options.Changed(c)
	}
}

// check verifies all files of a version before it is served.
func (h *Handler) check(ctx context.Context, found *form.Version) error {
	if _, err := h.renders.get(found, h.example); err != nil {
		return err
	}
	v := newVersion(found)
	for _, f := range site.Files(v.Lock) {
		file, err := h.verifier.open(ctx, v, f)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
		file.Close()
	}
	return nil
}

// publish serves versions, the newest first. For the time Options.Grace, it also serves those before.
func (h *Handler) publish(versions []*version, before ...*version) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, v := range before {
		v.retired.Store(true)
		time.AfterFunc(h.options.Grace, func() { h.end(v) })
	}
	h.retired = append(h.retired, before...)
	surplus := max(0, len(h.retired)-maxRetired)
	h.release(versions, h.retired[:surplus])
}

// end stops serving a retired version. The version is closed after its last download.
func (h *Handler) end(v *version) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if slices.Contains(h.retired, v) {
		h.release(h.catalog.Load().versions, []*version{v})
	}
}

// endAll stops serving all retired versions.
func (h *Handler) endAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.release(h.catalog.Load().versions, h.retired)
}

// release serves versions and the retired ones that have not ended. h.mu is held.
func (h *Handler) release(versions, ended []*version) {
	ended = slices.Clone(ended)
	h.retired = slices.DeleteFunc(h.retired, func(v *version) bool { return slices.Contains(ended, v) })
	c := &catalog{versions: versions, paths: map[string]*place{}}
	for _, v := range slices.Concat(h.retired, versions) {
		documents, err := h.renders.get(v.Version, h.example)
		if err != nil {
			h.options.Problem(err) // unexpected: it was rendered before
		}
		for p := range documents {
			c.paths[p] = &place{v, func(w http.ResponseWriter, r *http.Request) { h.document(w, r, v, p) }}
		}
		for _, f := range site.Files(v.Lock) {
			c.paths[f.Path] = &place{v, func(w http.ResponseWriter, r *http.Request) { h.file(w, r, v, f) }}
		}
	}
	h.addPages(c)
	c.paths[strings.TrimPrefix(healthPath, "/")] = &place{answer: h.healthy}
	c.paths[strings.TrimPrefix(readyPath, "/")] = &place{answer: h.ready}
	h.catalog.Store(c)
	h.verifier.forget(func(p string) bool {
		_, served := c.paths[p]
		return served
	})
	for _, v := range ended {
		v.leave()
	}
}
