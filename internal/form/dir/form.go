package dir

import (
	"context"
	"fmt"
	"path"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// Form is the directory that an agent starts from.
var Form = &form.Form{
	Kind:    "directory",
	Name:    "agent cache directory",
	Access:  form.Mounted,
	Partial: true,
	Outputs: []form.Output{{
		Prefix: "dir", Unpacks: true, LockPath: lockPath,
		Check: func(_ context.Context, _ string, o form.WriteOptions) error { return pluginsdir.CheckMount(o.Mount) },
		Need: func(_ context.Context, name string, l *lock.Lock, from form.Content) (int64, bool) {
			return entry.Missing(name, Plan(l, from.Plugins))
		},
		Open: openOutput,
		Next: next,
	}},
	Rewrite:    rewrite,
	Unexpected: "look at what is there unasked, and remove it by hand: nothing else touches it\n" + rewrite,
	Recognize:  recognize,
	Open:       openMirror,
	Audit:      verify,
	NotServed: func(p *form.Place) error {
		return fault.New(fault.Usage, "%s is an agent's cache directory, which has no upstream files that agents could download", p).
			WithHint("serve the bundle or the site that was pulled with it, or mount the directory: then no server is needed")
	},
	Prune: func(ctx context.Context, p *form.Place) (atomicdir.Pruned, error) {
		return Prune(ctx, p.Path, p.Waiting)
	},
}

const rewrite = "run the unpack or the pull that wrote it again: it writes what is damaged or missing anew, and leaves the rest"

func recognize(p *form.Place) form.Likeness {
	switch {
	case !p.IsDir():
		return form.Unlike
	case IsDirectory(p.Path):
		return form.Like
	case MayBeDirectory(p.Path), mayBeCopy(p.Path):
		return form.Remotely
	}
	return form.Unlike
}

func openMirror(_ context.Context, p *form.Place) (*form.Mirror, error) {
	l, err := ReadLock(p.Path)
	if err != nil {
		return nil, err
	}
	return &form.Mirror{Lock: l, Mount: mountOf(p.Path), Content: func(context.Context) (*form.Content, error) {
		d, err := OpenSource(p.Path)
		if err != nil {
			return nil, err
		}
		return &form.Content{Plugins: d, Close: d.Close}, nil
	}}, nil
}

// mountOf returns where an agent must see a directory, as its indexes have it.
// Of a damaged directory it is not known: whether one is, verify says.
func mountOf(path string) string {
	d, err := OpenSource(path)
	if err != nil {
		return ""
	}
	defer d.Close()
	for _, p := range d.Lock().Platforms {
		for _, r := range d.Lock().Repositories {
			ix, err := d.Index(p, r)
			if err != nil {
				return ""
			}
			if mount := pluginsdir.MountIn(ix.Data, r.Name, p); mount != "" {
				return mount
			}
		}
	}
	return ""
}

func verify(ctx context.Context, p *form.Place, a *form.Audit) error {
	if err := a.Begin(); err != nil {
		return err
	}
	l, err := ReadLock(p.Path)
	if err != nil && !MayBeDirectory(p.Path) {
		return err // says what a copy lacks
	}
	if err == nil {
		a.Planned(l.ArtifactBytes(), len(l.Artifacts)) // about what there is to be read
	}
	found, err := Audit(ctx, p.Path, &a.Report, AuditOptions{Mount: a.Mount, Waiting: p.Waiting, Hashed: a.Hashed})
	if err != nil {
		return err
	}
	a.Lock, a.FoundMount = found.Lock, found.Mount
	if found.Lock == nil {
		return nil
	}
	a.Digest = found.Digest.OCI()
	a.FileAt = func(p agent.Platform, file string) string {
		if len(found.Lock.Platforms) > 1 {
			return p.Dir() + "/" + file
		}
		return file
	}
	return nil
}

// output is a directory that is written of artifacts.
type output struct {
	*Writer
	options form.WriteOptions
	// files are what is made of each artifact, by URL.
	files map[string][]pluginsdir.Placement
}

func openOutput(ctx context.Context, name string, l *lock.Lock, from form.Content, o form.WriteOptions) (form.Writer, error) {
	w, err := Open(ctx, name, l, Options{Mount: o.Mount, Source: from.Plugins, Waiting: o.Waiting, Displaced: o.Displaced})
	if err != nil {
		return nil, err
	}
	return &output{Writer: w, options: o, files: pluginsdir.Placements(l)}, nil
}

// Add writes the files that are made of an artifact.
func (out *output) Add(ctx context.Context, a lock.Artifact) (changed bool, err error) {
	for _, p := range out.files[a.URL] {
		p.File.Artifact = a
		written, err := out.Write(ctx, p.Platform, p.File)
		if err != nil {
			return changed, err
		}
		if written {
			out.options.Wrote(path.Join(p.Platform.String(), p.File.Path))
		}
		changed = changed || written
	}
	return changed, nil
}

// Commit writes the documents.
func (out *output) Commit(ctx context.Context, l *lock.Lock) (form.Written, error) {
	// Once it has begun, it is better brought to its end.
	changed, err := out.Writer.Commit(context.WithoutCancel(ctx), l)
	return form.Written{Changed: changed}, err
}

func next(name string, _ form.Written, platforms []agent.Platform, mount string) string {
	what, which := name, ""
	if len(platforms) > 1 {
		which = " --platform OS/ARCH"
		what = fmt.Sprintf("the sub-directory of the nodes' platform (%s/%s, …)", name, platforms[0].Dir())
	}
	return fmt.Sprintf("next: copy %s to the volume that the agent mounts at %s; the Helm values for it: botkube-mirror values %s --pvc NAME%s --values YOURS.yaml\n", what, mount, name, which)
}
