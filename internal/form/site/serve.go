package site

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
)

// serve opens the versions of a site, or the one that is named. A run that writes the
// site is waited for. A version is refused that is damaged or whose update is unfinished;
// one whose first run is unfinished is none yet.
func serve(ctx context.Context, p *form.Place) (*form.Served, error) {
	root, tag := rootOf(p.Path)
	if err := atomicdir.Settle(ctx, root, p.Waiting); err != nil {
		return nil, err
	}
	t, err := atomicdir.OpenExisting(root)
	if err != nil {
		return nil, err
	}
	opener := disk.NewOpener(t.Root)
	out := &form.Served{Closers: []io.Closer{opener, t}}
	if out.Versions, err = openVersions(t, opener, tag); err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

func openVersions(t *atomicdir.Tree, opener *disk.Opener, tag string) (versions []form.Version, err error) {
	all, err := finished(t)
	if err != nil {
		return nil, err
	}
	open := func(path string, _ lock.Blob) (form.File, error) {
		file, err := opener.OpenRegular(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fault.New(fault.Incomplete, "%s is missing", t.At(path))
		case err != nil:
			return nil, fmt.Errorf("opening %s: %w", t.At(path), err)
		}
		return file, nil
	}
	var tags []string
	for _, s := range all {
		tags = append(tags, s.tag)
		if tag != "" && s.tag != tag {
			continue
		}
		named, err := s.lock.Tag()
		if err != nil {
			return nil, err
		}
		if named != s.tag {
			return nil, fault.New(fault.Integrity, "%s is that of %s, not of %s", t.At(path.Join(s.tag, lockName)), named, s.tag).
				WithHint("do not rename what pull wrote: write the version again, or remove the directory")
		}
		indexes, err := s.indexes(t)
		if err != nil {
			return nil, err
		}
		versions = append(versions, form.Version{Tag: s.tag, Source: filepath.Join(t.Path, s.tag), Lock: s.lock, Indexes: indexes, Open: open})
	}
	if len(versions) == 0 {
		return nil, fault.New(fault.Usage, "the site %s has no version %s; it has: %s", t.Path, tag, strings.Join(tags, ", "))
	}
	return versions, nil
}
