package form

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// Served is a mirror that agents download from.
type Served struct {
	*Form
	Versions []Version
	// Ignored are paths beside the versions that are no versions.
	Ignored []string
	// Closers are closed in the end.
	Closers []io.Closer
}

// Version is one version of what is served.
type Version struct {
	// Tag is that of the lock: see [lock.Lock.Tag].
	Tag string
	// Source is the path of its bundle, or of its directory in a site.
	Source string
	Lock   *lock.Lock
	// Indexes are rewritten for every base URL anew.
	Indexes pluginsdir.Indexes
	// Open opens an upstream file of the version, which a site has at a path. It is
	// called concurrently.
	Open func(path string, b lock.Blob) (File, error)
}

// File is an open file that tells by its description whether it is still what it
// was. An [os.File] is one.
type File interface {
	blob.File
	Stat() (fs.FileInfo, error)
}

// Close closes what is served.
func (s *Served) Close() {
	for _, c := range s.Closers {
		_ = c.Close() // nothing was written to it
	}
}

// Serve finds out which form a mirror has, and opens it to be served.
func (all Forms) Serve(ctx context.Context, p *Place) (*Served, error) {
	var served *Served
	err := all.try(p, func(f *Form) (err error) {
		if f.Serve != nil {
			if served, err = f.Serve(ctx, p); err == nil {
				served.Form = f
			}
			return err
		}
		if _, err := f.Open(ctx, p); err != nil {
			return err
		}
		return f.NotServed(p)
	})
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return served, nil
}
