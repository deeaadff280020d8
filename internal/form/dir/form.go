package dir

import (
	"context"
	"fmt"
	"path"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// Form is the directory that an agent starts from.
var Form = &form.Form{
	Kind: "directory",
	Name: "agent cache directory",
	Outputs: []form.Output{{
		Prefix: "dir", Unpacks: true, LockPath: lockPath,
		Check: func(_ string, o form.WriteOptions) error { return pluginsdir.CheckMount(o.Mount) },
		Open:  openOutput,
		Next:  next,
	}},
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
