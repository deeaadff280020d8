package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// Directory is the form of a directory with several bundles, which are served together.
var Directory = &form.Form{
	Kind:      "bundles",
	Name:      "directory of bundles",
	Recognize: recognizeDirectory,
	Open: func(_ context.Context, p *form.Place) (*form.Mirror, error) {
		if isEmpty(p) {
			return nil, form.Other(ErrNotBundle)
		}
		return nil, fault.New(fault.Usage, "%s is a directory of bundles, not a bundle", p).
			WithHint("name one of the bundles; or serve them all: botkube-mirror serve %s", p)
	},
	Serve: serveDirectory,
}

// recognizeDirectory takes an empty directory, too: bundles may be on their way.
func recognizeDirectory(p *form.Place) form.MatchLevel {
	if !p.IsDir() {
		return form.NoMatch
	}
	entries, _ := visible(p.Path) // what cannot be read is not recognized
	if isEmpty(p) || slices.ContainsFunc(entries, func(name string) bool { return oci.MayBeLayout(filepath.Join(p.Path, name)) }) {
		return form.WeakMatch
	}
	return form.NoMatch
}

// visible returns the names in a directory that bundles may have. Programs that copy call
// unfinished files .NAME, and lost+found is the file system's.
func visible(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && e.Name() != "lost+found" {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func isEmpty(p *form.Place) bool {
	names, err := visible(p.Path)
	return err == nil && len(names) == 0
}

// serveDirectory serves the bundles in a directory. What is none is left out.
func serveDirectory(ctx context.Context, p *form.Place) (*form.Served, error) {
	out := &form.Served{Look: func() ([]form.Source, error) {
		names, err := visible(p.Path)
		if err != nil {
			return nil, fault.New(fault.Usage, "reading the directory: %w", err)
		}
		var sources []form.Source
		for _, name := range names {
			at := filepath.Join(p.Path, name)
			if _, err := os.Stat(at); errors.Is(err, fs.ErrNotExist) {
				continue
			}
			sources = append(sources, sourceAt(at, func(ctx context.Context) (*form.Version, error) {
				err := error(ErrNotBundle)
				var v *form.Version
				if oci.MayBeLayout(at) {
					v, err = openVersion(ctx, at, "")
				}
				if errors.Is(err, ErrNotBundle) || errors.Is(err, oci.ErrNotLayout) {
					err = form.ErrNotVersion
				}
				return v, err
			}))
		}
		return sources, nil
	}}
	if err := out.Open(ctx); err != nil {
		return nil, err
	}
	if len(out.Found) > 0 && !slices.ContainsFunc(out.Found, func(f form.Found) bool { return !errors.Is(f.Err, form.ErrNotVersion) }) {
		return nil, form.Other(ErrNotBundle)
	}
	return out, nil
}

// serve serves the bundle at a place.
func serve(ctx context.Context, p *form.Place) (*form.Served, error) {
	b, err := openAt(ctx, p, Open)
	if err != nil {
		return nil, err
	}
	v, err := version(b, p.Path)
	if err != nil {
		return nil, err
	}
	source := sourceAt(p.Path, func(ctx context.Context) (*form.Version, error) { return openVersion(ctx, p.Path, p.Document) })
	return &form.Served{
		Found: []form.Found{{Source: source, Version: v}},
		Look: func() ([]form.Source, error) {
			_, err := os.Stat(p.Path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil
			}
			return []form.Source{source}, err
		},
	}, nil
}

func sourceAt(path string, open func(context.Context) (*form.Version, error)) form.Source {
	files := []string{path}
	for _, name := range []string{oci.IndexName, oci.FileName, oci.BlobsDir} {
		files = append(files, filepath.Join(path, filepath.FromSlash(name)))
	}
	return form.Source{Path: path, Files: files, Open: open}
}

func openVersion(ctx context.Context, path, document string) (*form.Version, error) {
	l, err := oci.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	b, err := Open(ctx, l, document)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	v, err := version(b, path)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return v, nil
}

// version returns the version that a bundle contributes to a server. Closing the version closes the
// bundle.
func version(b *Bundle, path string) (*form.Version, error) {
	l := b.contents.Lock.PluginsOnly()
	tag, err := l.Tag()
	if err != nil {
		return nil, err
	}
	indexes := pluginsdir.Upstream{Blobs: b}
	for _, r := range l.Repositories { // a damaged one is found before it is asked for
		if _, err := indexes.Index(agent.Platform{}, r); err != nil {
			return nil, err
		}
	}
	return &form.Version{Tag: tag, Source: path, Lock: l, Made: b.layout.Made(), Indexes: indexes, Open: b.openServed, Close: b.Close}, nil
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
		return nil, fmt.Errorf("blob sha256:%s is not in a file", d.SHA256)
	}
	return f, nil
}
