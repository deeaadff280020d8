package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
)

// serve serves the versions of a site, or the one that is named.
func serve(ctx context.Context, p *form.Place) (*form.Served, error) {
	root, tag := rootOf(p.Path)
	out := &form.Served{Look: func() ([]form.Source, error) { return sources(root, tag, p.Waiting) }}
	if err := out.Open(ctx); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(out.Found, func(f form.Found) bool { return !errors.Is(f.Err, form.ErrNotVersion) }) {
		return out, nil
	}
	all, err := reading(root, finished)
	if err != nil {
		return nil, err
	}
	var tags []string
	for _, s := range all {
		tags = append(tags, s.tag)
	}
	return nil, fault.New(fault.Usage, "the site %s has no version %s; it has: %s", root, tag, strings.Join(tags, ", "))
}

// sources are the directories of a site that may be versions, or the one that is named.
func sources(root, tag string, waiting func(string)) ([]form.Source, error) {
	entries, err := os.ReadDir(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", root, atomicdir.Explain(err))
	}
	var all []form.Source
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() || !lock.IsTag(name) || name == filesDir || tag != "" && name != tag {
			continue
		}
		dir := filepath.Join(root, name)
		s := form.Source{
			Path: dir, Files: []string{dir, filepath.Join(dir, sumsName), filepath.Join(dir, lockName)},
			Open: func(ctx context.Context) (*form.Version, error) {
				if err := atomicdir.Settle(ctx, root, waiting); err != nil {
					return nil, err
				}
				return openVersion(root, name)
			},
		}
		repositories, _ := os.ReadDir(dir) // opening the version says what is wrong
		for _, r := range repositories {
			if r.IsDir() {
				s.Files = append(s.Files, filepath.Join(dir, r.Name()), filepath.Join(dir, r.Name(), indexName))
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// openVersion opens a version of a site. One is refused that is damaged or unfinished.
func openVersion(root, tag string) (_ *form.Version, err error) {
	t, err := atomicdir.OpenExisting(root)
	if err != nil {
		return nil, err
	}
	opener := disk.NewOpener(t.Root)
	closeBoth := func() error { return errors.Join(opener.Close(), t.Close()) }
	defer func() {
		if err != nil {
			_ = closeBoth()
		}
	}()
	s := readState(t, tag)
	switch {
	case !s.isVersion:
		return nil, form.ErrNotVersion
	case s.lock == nil:
		return nil, s.damage(t)
	}
	if err := s.checkDocuments(t); err != nil {
		return nil, err
	}
	named, err := s.lock.Tag()
	if err != nil {
		return nil, err
	}
	if named != tag {
		return nil, fault.New(fault.Integrity, "%s is for version %s, but its directory is %s", t.At(path.Join(tag, lockName)), named, tag).
			WithHint("give the directory back its name; or remove it, and write the version again")
	}
	indexes, err := s.indexes(t)
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
	return &form.Version{Tag: tag, Source: filepath.Join(t.Path, tag), Lock: s.lock, Made: madeIn(t, tag), Indexes: indexes, Open: open, Close: closeBoth}, nil
}
