package form

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

// Likeness says how much what is at a place looks like a form.
type Likeness int

// The likenesses. Of several forms, that with the greater one is tried first.
const (
	// Unlike is what cannot be of the form.
	Unlike Likeness = iota
	// Remotely is what may be all that is left of the form.
	Remotely
	// Damaged is what has only something of the form.
	Damaged
	// Like is what has what tells the form.
	Like
)

// ErrOther is wrapped by the error of a form's function for what is of another form.
var ErrOther = errors.New("it is of another form")

// Mirror is a mirror whose documents were read. No plugin was.
type Mirror struct {
	*Form
	*Place
	Lock *lock.Lock
	// Tag is that of a bundle, an image or a version of a site; the first two
	// have a Digest, sha256:….
	Tag, Digest string
	// Mount is where an agent sees a directory or an image. It is empty if that
	// cannot be told.
	Mount string
	// BaseURL is where a site is served, by its indexes.
	BaseURL string
	// MountOnly are the platforms whose image has no program to seed a volume.
	MountOnly []agent.Platform
	// Content opens what the mirror holds. It is nil where nothing can be made of it.
	Content func(ctx context.Context) (*Content, error)
}

// Open finds out by its content of which form a mirror is, and reads its documents.
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

// candidates are the forms of which a mirror may be, the most likely first.
func (all Forms) candidates(p *Place) []*Form {
	likeness := map[*Form]Likeness{}
	var may []*Form
	for _, f := range all {
		if likeness[f] = f.Recognize(p); likeness[f] > Unlike {
			may = append(may, f)
		}
	}
	slices.SortStableFunc(may, func(a, b *Form) int { return cmp.Compare(likeness[b], likeness[a]) })
	return may
}

// try does something with the forms of which a mirror may be, until one is found
// whose it is.
func (all Forms) try(p *Place, do func(f *Form) error) error {
	reason := error(nil)
	for _, f := range all.candidates(p) {
		err := do(f)
		if !errors.Is(err, ErrOther) {
			return err
		}
		if reason == nil || fault.HintOf(reason) == "" {
			reason = err
		}
	}
	return p.unknown(reason)
}

// other is what a form says of what is of another one.
type other struct{ error }

func (o other) Is(target error) bool { return target == ErrOther }
func (o other) Unwrap() error        { return o.error }

// Other marks an error as that of a place which has another form.
func Other(err error) error { return other{err} }

// unknown says that something is no mirror, and why, if a form knows that.
func (p *Place) unknown(reason error) error {
	if reason != nil && fault.HintOf(reason) != "" {
		return fault.New(fault.Usage, "%w", reason).WithHint("%s", fault.HintOf(reason))
	}
	switch {
	case p.IsDir() && !p.MayBeLayout():
		return fault.New(fault.Usage, "%s is neither a directory that pull wrote nor a site nor a bundle", p).WithHint(oci.Hint)
	}
	return fault.New(fault.Usage, "%s is %w", p, oci.ErrNotLayout).WithHint(oci.Hint)
}

// Content opens a mirror that something else is made of, such as outputs.
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

// Prune removes what the lock of a mirror no longer names.
func (all Forms) Prune(ctx context.Context, p *Place) (pruned atomicdir.Pruned, err error) {
	defer p.Close() // nothing was written to it
	err = all.try(p, func(f *Form) (err error) {
		if f.Prune == nil {
			if _, err := f.Open(ctx, p); err != nil {
				return err
			}
			return fault.New(fault.Usage, "%s is neither a directory that an agent starts from nor a site, and only those can be pruned", p).
				WithHint("a bundle or an image that is written again holds what its lock names, and nothing else")
		}
		pruned, err = f.Prune(ctx, p)
		return err
	})
	return pruned, err
}
