package bundle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// Directory is a directory with several bundles in it, which are served together.
var Directory = &form.Form{
	Kind:      "bundles",
	Name:      "directory of bundles",
	Recognize: recognizeDirectory,
	Open: func(_ context.Context, p *form.Place) (*form.Mirror, error) {
		return nil, fault.New(fault.Usage, "%s has bundles in it, and is none itself", p).
			WithHint("name one of them, or serve them all: botkube-mirror serve %s", p)
	},
	Serve: serveDirectory,
}

func recognizeDirectory(p *form.Place) form.Likeness {
	if p.IsDir() {
		entries, _ := os.ReadDir(p.Path) // what cannot be read is not recognized
		for _, e := range entries {
			if mayBeBundle(p, e) {
				return form.Remotely
			}
		}
	}
	return form.Unlike
}

func mayBeBundle(p *form.Place, e os.DirEntry) bool {
	return !strings.HasPrefix(e.Name(), ".") && oci.MayBeLayout(filepath.Join(p.Path, e.Name()))
}

// serveDirectory serves the bundles in a directory. What is none is left out; one
// that is damaged is an error, lest a version be missed later.
func serveDirectory(ctx context.Context, p *form.Place) (*form.Served, error) {
	entries, err := os.ReadDir(p.Path)
	if err != nil {
		return nil, fault.New(fault.Usage, "reading the directory: %w", err)
	}
	out := &form.Served{}
	for _, e := range entries {
		at := filepath.Join(p.Path, e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		err := error(ErrNotBundle)
		if mayBeBundle(p, e) {
			err = addAt(ctx, out, at)
		}
		if errors.Is(err, ErrNotBundle) || errors.Is(err, oci.ErrNotLayout) {
			out.Ignored = append(out.Ignored, at)
		} else if err != nil {
			out.Close()
			return nil, err
		}
	}
	if len(out.Versions) == 0 {
		return nil, form.Other(ErrNotBundle)
	}
	return out, nil
}

func addAt(ctx context.Context, out *form.Served, path string) error {
	l, err := oci.Open(ctx, path)
	if err != nil {
		return err
	}
	b, err := Open(ctx, l, "")
	if err != nil {
		return errors.Join(err, l.Close())
	}
	return add(out, path, b)
}

func serve(ctx context.Context, p *form.Place) (*form.Served, error) {
	b, err := openAt(ctx, p, Open)
	if err != nil {
		return nil, err
	}
	out := &form.Served{}
	return out, add(out, p.Path, b)
}

// add adds a bundle to what is served, which closes it.
func add(out *form.Served, path string, b *Bundle) error {
	out.Closers = append(out.Closers, b)
	l := b.contents.Lock.PluginsOnly()
	tag, err := l.Tag()
	if err != nil {
		return err
	}
	for _, v := range out.Versions {
		if v.Tag == tag {
			return fault.New(fault.Usage, "%s and %s are both of version %s", v.Source, path, tag).
				WithHint("leave one of them out; for several platforms, pull one bundle: --platform linux/amd64 --platform linux/arm64")
		}
	}
	indexes := pluginsdir.Upstream{Blobs: b}
	for _, r := range l.Repositories { // a damaged one is found before it is asked for
		if _, err := indexes.Index(agent.Platform{}, r); err != nil {
			return err
		}
	}
	out.Versions = append(out.Versions, form.Version{Tag: tag, Source: path, Lock: l, Indexes: indexes, Open: b.openServed})
	return nil
}

// openServed opens a blob that tells whether it is what it was.
func (b *Bundle) openServed(_ string, d lock.Blob) (form.File, error) {
	content, err := b.Open(d.SHA256)
	if err != nil {
		return nil, err
	}
	f, described := content.(form.File)
	if !described {
		content.Close()
		return nil, fmt.Errorf("the blob %s is not a file", d.SHA256)
	}
	return f, nil
}
