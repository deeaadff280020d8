package form

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// MatchLevel says how likely the content of a place has a form.
type MatchLevel int

// The levels. The form with the highest level is tried first.
const (
	// NoMatch means that it cannot have the form.
	NoMatch MatchLevel = iota
	// WeakMatch means that it may be the remains of the form.
	WeakMatch
	// PartialMatch means that it has a part of the form.
	PartialMatch
	// FullMatch means that it has what identifies the form.
	FullMatch
)

// ErrOther is wrapped by the error of a form's function if the target has another form.
var ErrOther = errors.New("the target has another form")

// Mirror is a mirror whose documents were read. No plugin was.
type Mirror struct {
	*Form
	*Place
	Lock *lock.Lock
	// Tag is that of a bundle, an image or a site; the first two have a Digest, sha256:….
	Tag, Digest string
	// Mount is where an agent sees a directory or an image, or empty if indexes do not tell.
	Mount string
	// BaseURL is where a site is served, by its indexes.
	BaseURL string
	// MountOnly are the platforms whose image has no program to seed a volume.
	MountOnly []agent.Platform
	// Content opens what the mirror holds. It is nil where nothing can be made of it.
	Content func(ctx context.Context) (*Content, error)
}

// Open finds out which form a mirror has, by its content, and reads its documents.
func (all Forms) Open(ctx context.Context, p *Place) (*Mirror, error) {
	var m *Mirror
	err := all.try(p, func(f *Form) (err error) {
		if m, err = f.Open(ctx, p); err == nil {
			m.Form, m.Place = f, p
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return m, nil
}

// try calls do with the forms that a mirror may have, the most likely first, until one
// does not answer that it is another.
func (all Forms) try(p *Place, do func(f *Form) error) error {
	levels := map[*Form]MatchLevel{}
	for _, f := range all {
		levels[f] = f.Recognize(p)
	}
	may := slices.DeleteFunc(slices.Clone(all), func(f *Form) bool { return levels[f] == NoMatch })
	slices.SortStableFunc(may, func(a, b *Form) int { return cmp.Compare(levels[b], levels[a]) })
	reason := error(nil)
	for _, f := range may {
		err := do(f)
		if !errors.Is(err, ErrOther) {
			return p.notValues(err)
		}
		if reason == nil || fault.HintOf(reason) == "" {
			reason = err
		}
	}
	return p.notValues(p.unknown(reason))
}

// notValues says how Helm values are named, if they may be in the place of a mirror.
func (p *Place) notValues(err error) error {
	if end := filepath.Ext(p.Path); fault.HintOf(err) == oci.Hint && p.IsFile() && (end == ".yaml" || end == ".yml") {
		return fault.New(fault.Usage, "%w", err).WithHint("if %[1]s contains Helm values, pass it with --values: botkube-mirror values MIRROR --values %[1]s", p.Path)
	}
	return err
}

// other is what a form says of what is of another one.
type other struct{ error }

func (o other) Is(target error) bool { return target == ErrOther }
func (o other) Unwrap() error        { return o.error }

// Other marks an error: what is at the place has another form.
func Other(err error) error { return other{err} }

// unknown says that something is no mirror, and why, if a form knows that.
func (p *Place) unknown(reason error) error {
	if reason != nil && fault.HintOf(reason) != "" {
		return fault.New(fault.Usage, "%w", reason).WithHint("%s", fault.HintOf(reason))
	}
	if p.IsDir() && !p.MayBeLayout() {
		for _, dir := range []string{p.Path, filepath.Join(p.Path, atomicdir.MetaDir)} {
			if _, err := os.ReadDir(dir); errors.Is(err, fs.ErrPermission) {
				return oci.Unopened(dir, err) // nobody can tell what it is
			}
		}
		return fault.New(fault.Usage, "%s is not a mirror: neither a directory that pull wrote, nor a site, nor a bundle", p).WithHint(oci.Hint)
	}
	return fault.New(fault.Usage, "%s is %w", p, oci.ErrNotLayout).WithHint(oci.Hint)
}

// Content opens a mirror, and the content that outputs are made of.
func (all Forms) Content(ctx context.Context, p *Place) (*Mirror, *Content, error) {
	m, err := all.Open(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	if m.Content == nil {
		return nil, nil, errors.Join(m.NotContent(p), m.Close())
	}
	c, err := m.Content(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, m.Close())
	}
	return m, c, nil
}

// Prune removes what the lock of a mirror no longer names, or if it is dry, says what that is.
func (all Forms) Prune(ctx context.Context, p *Place, dry bool) (pruned entry.Pruned, err error) {
	defer p.Close() // nothing was written to it
	err = all.try(p, func(f *Form) (err error) {
		if f.Prune == nil {
			if _, err := f.Open(ctx, p); err != nil {
				return err
			}
			return fault.New(fault.Usage, "%s cannot be pruned: it is neither an agent's cache directory nor a site", p).
				WithHint("to remove old files from a bundle or an image, write it again with pull: it then has only the files of its lock")
		}
		pruned, err = f.Prune(ctx, p, dry)
		return err
	})
	return pruned, err
}

// Served is a mirror that agents download from. What is in it comes and goes.
type Served struct {
	*Form
	// Found are the sources that there were at first.
	Found []Found
	// Look lists the sources that there are. It opens none.
	Look func() ([]Source, error)
}

// Source is what holds a version: a bundle, or a directory of a site.
type Source struct {
	Path string
	// Files are paths. The inodes, sizes and times of these files tell whether the source changed.
	Files []string
	// Open reads the documents of the version. It waits for a run that writes the source.
	Open func(ctx context.Context) (*Version, error)
}

// Found is a source and what came of opening it.
type Found struct {
	Source
	Version *Version
	Err     error
}

// ErrNotVersion is the error of a source without a version, which is left out.
var ErrNotVersion = errors.New("it has no version")

// Open opens the sources that there are.
func (s *Served) Open(ctx context.Context) error {
	sources, err := s.Look()
	for _, source := range sources {
		v, err := source.Open(ctx)
		s.Found = append(s.Found, Found{source, v, err})
	}
	return err
}

// Version is one version of what is served.
type Version struct {
	// Tag is that of the lock: see [lock.Lock.Tag].
	Tag string
	// Source is the path of its bundle, or of its directory in a site.
	Source string
	Lock   *lock.Lock
	// Made is when it was made, as its maker said by SOURCE_DATE_EPOCH, or zero.
	Made time.Time
	// Indexes are rewritten for every base URL anew.
	Indexes pluginsdir.Indexes
	// Open opens an upstream file, which a site has at a path. It is called concurrently.
	Open func(path string, b lock.Blob) (File, error)
	// Close closes what was opened for the version. Nothing was written to it.
	Close func() error
}

// File is an open file with a description that tells changes. An [os.File] is one.
type File interface {
	blob.File
	Stat() (fs.FileInfo, error)
}

// Close closes the versions that were found.
func (s *Served) Close() {
	for _, f := range s.Found {
		if f.Version != nil {
			_ = f.Version.Close()
		}
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
