package bundle

import (
	"context"
	"errors"
	"fmt"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// Form is the form of a bundle: a lock and its upstream files, to be carried over the gap.
var Form = &form.Form{
	Kind:    "bundle",
	Name:    "bundle",
	Access:  form.Carried,
	Members: true,
	Packed:  true,
	Outputs: []form.Output{{
		Prefix: "oci-archive", File: true, Members: true, Documents: true, Streams: true,
		Check: func(_ context.Context, path string, _ form.WriteOptions) error {
			if path == form.StandardStream {
				return nil
			}
			return oci.CheckFile(path)
		},
		Need: needArchive, Open: openArchive, Next: next,
	}, {
		Prefix: "oci", Members: true, Documents: true,
		Check: func(ctx context.Context, path string, _ form.WriteOptions) error { return CheckLayout(ctx, path) },
		Need: func(_ context.Context, path string, l *lock.Lock, _ form.Content) (int64, bool) {
			return entry.Missing(path, layoutPlan(l.Blobs()))
		},
		Open: openLayout, Next: next,
	}},
	Rewrite:   "copy the bundle again from where it was pulled, and compare sha256sum on both sides\nif it is damaged there, too, run the pull again: that repairs it",
	Recognize: recognize,
	Open:      openMirror,
	Audit:     verify,
	Serve:     serve,
}

// recognize takes an OCI layout, and any file: it may be the remains of one.
func recognize(p *form.Place) form.MatchLevel {
	switch {
	case p.Prefix == "image":
		return form.NoMatch
	case p.Repository != nil, p.MayBeLayout():
		return form.FullMatch
	case p.IsFile():
		return form.WeakMatch
	}
	return form.NoMatch
}

func openMirror(ctx context.Context, p *form.Place) (*form.Mirror, error) {
	if p.Repository != nil {
		return openRepository(ctx, p)
	}
	b, err := openAt(ctx, p, Open)
	if err != nil {
		return nil, err
	}
	m := mirrorOf(b.contents)
	m.Content = func(context.Context) (*form.Content, error) {
		return &form.Content{Plugins: pluginsdir.Upstream{Blobs: b}, Blobs: b}, nil
	}
	return m, nil
}

// openAt opens the bundle in the layout at a place. What may be an image instead is a
// [form.ErrOther]; what is clearly something else has a hint.
func openAt(ctx context.Context, p *form.Place, open func(context.Context, *oci.Layout, string) (*Bundle, error)) (*Bundle, error) {
	l, err := p.Layout(ctx)
	if err != nil {
		return nil, err
	}
	b, err := open(ctx, l, p.Document)
	if errors.Is(err, ErrNotBundle) && fault.HintOf(err) == "" {
		err = form.Other(err)
	}
	return b, err
}

func mirrorOf(c *Contents) *form.Mirror {
	return &form.Mirror{Lock: c.Lock, Tag: c.Tag, Digest: c.Index.Blob().SHA256.OCI()}
}

// readRepository reads a bundle in a registry. What is something else is a
// [form.ErrOther].
func readRepository(ctx context.Context, p *form.Place) (*Contents, error) {
	c, err := Read(ctx, p.Repository.Top, p.Repository)
	switch {
	case errors.Is(err, ErrNotBundle):
		return nil, form.Other(fmt.Errorf("%s: %w", p, err))
	case err != nil:
		return nil, fmt.Errorf("reading the bundle %s: %w", p, err)
	}
	return c, nil
}

// openRepository opens a bundle in a registry. Its blobs come through the store.
func openRepository(ctx context.Context, p *form.Place) (*form.Mirror, error) {
	c, err := readRepository(ctx, p)
	if err != nil {
		return nil, err
	}
	m := mirrorOf(c)
	from := p.Repository
	m.Content = func(ctx context.Context) (*form.Content, error) {
		content := &form.Content{Plugins: pluginsdir.Upstream{Blobs: from.Store, Memory: from.Store}, Blobs: from.Store, Obtain: from.Obtain}
		return content, obtainDocuments(ctx, p, c)
	}
	return m, nil
}

// obtainDocuments brings the small documents into the store that the rest depends on:
// indexes, schemas, and manifests, which a registry keeps apart from blobs.
func obtainDocuments(ctx context.Context, p *form.Place, c *Contents) error {
	for _, m := range c.Manifests {
		if _, isImage := m.ImageRole(); !isImage {
			continue
		}
		if _, err := p.Repository.Store.Put(m.Data); err != nil {
			return err
		}
	}
	document := func(b lock.Blob, max int64) error {
		if b.Size > max {
			return fault.New(fault.Integrity, "%s points to a document of %d bytes, but the maximum is %d", p, b.Size, max)
		}
		_, err := p.Repository.Obtain(ctx, b)
		return err
	}
	for _, r := range c.Lock.Repositories {
		if err := document(r.Index, index.MaxSize); err != nil {
			return err
		}
		for _, schema := range r.Schemas {
			if err := document(schema.Blob, lock.MaxSchema); err != nil {
				return err
			}
		}
	}
	return nil
}
