package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// Source is a site that is read: its documents were, when it was opened, and
// were found to be those that SHA256SUMS names. Files are read later.
type Source struct {
	tree     *atomicdir.Tree
	opener   *disk.Opener
	versions []*SourceVersion
}

// SourceVersion is a version of a [Source].
type SourceVersion struct {
	Version
	source  *Source
	indexes map[string][]byte
}

// OpenSource opens the versions of a site, or the one with a tag. A run that
// writes the site is waited for. A version is refused that is damaged or whose
// update is unfinished; one whose first run is unfinished is none yet.
func OpenSource(ctx context.Context, root, tag string, waiting func(string)) (*Source, error) {
	if err := atomicdir.Settle(ctx, root, waiting); err != nil {
		return nil, err
	}
	versions, err := ReadLocks(root)
	if err != nil {
		return nil, err
	}
	t, err := atomicdir.OpenExisting(root)
	if err != nil {
		return nil, err
	}
	s := &Source{tree: t, opener: disk.NewOpener(t.Root)}
	var tags []string
	for _, v := range versions {
		tags = append(tags, v.Tag)
		if tag != "" && v.Tag != tag {
			continue
		}
		read, err := s.version(v.Tag)
		if err != nil {
			s.Close()
			return nil, err
		}
		s.versions = append(s.versions, read)
	}
	if len(s.versions) == 0 {
		s.Close()
		return nil, fault.New(fault.Usage, "the site %s has no version %s; it has: %s", root, tag, strings.Join(tags, ", "))
	}
	return s, nil
}

// version reads the documents of a version.
func (s *Source) version(tag string) (*SourceVersion, error) {
	st := readState(s.tree, tag)
	if st.lock == nil {
		return nil, st.damage(s.tree)
	}
	named, err := st.lock.Tag()
	if err != nil {
		return nil, err
	}
	if named != tag {
		return nil, fault.New(fault.Integrity, "%s is that of %s, not of %s", s.tree.At(path.Join(tag, lockName)), named, tag).
			WithHint("do not rename what pull wrote: write the version again, or remove the directory")
	}
	indexes, err := st.indexes(s.tree)
	if err != nil {
		return nil, err
	}
	return &SourceVersion{Version: Version{Tag: tag, Lock: st.lock}, source: s, indexes: indexes}, nil
}

// Versions returns the versions, by tag.
func (s *Source) Versions() []*SourceVersion { return slices.Clone(s.versions) }

// Close closes the site.
func (s *Source) Close() error { return errors.Join(s.opener.Close(), s.tree.Close()) }

// Index returns the index of a repository as the site has it.
func (v *SourceVersion) Index(_ agent.Platform, r lock.Repository) (pluginsdir.Index, error) {
	data, found := v.indexes[r.Name]
	if !found {
		return pluginsdir.Index{}, fault.New(fault.Incomplete, "the version %s has no index of %q", v.Tag, r.Name)
	}
	return pluginsdir.Index{Data: data}, nil
}

// Open opens a file of the version. What it holds was not looked at.
func (v *SourceVersion) Open(path string) (*os.File, error) {
	t := v.source.tree
	file, err := v.source.opener.OpenRegular(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.Incomplete, "%s is missing", t.At(path))
	case err != nil:
		return nil, fmt.Errorf("opening %s: %w", t.At(path), err)
	}
	return file, nil
}
