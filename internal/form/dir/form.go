package dir

import (
	"context"
	"fmt"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// Form is the form of an agent's plugin cache directory.
var Form = &form.Form{
	Kind:    "directory",
	Name:    "agent cache directory",
	Access:  form.Mounted,
	Partial: true,
	Outputs: []form.Output{{
		Prefix: "dir", Unpacks: true, LockPath: lockPath,
		Check: func(_ context.Context, _ string, o form.WriteOptions) error { return pluginsdir.CheckMount(o.Mount) },
		Need: func(_ context.Context, name string, l *lock.Lock, from form.Content) (int64, bool) {
			return entry.Missing(name, plan(l, from.Plugins))
		},
		Open: openOutput,
		Next: next,
	}},
	Rewrite:    rewrite,
	Unexpected: "look at the unexpected files, and remove them by hand: no command of botkube-mirror removes them\n" + rewrite,
	Recognize:  recognize,
	Open:       openMirror,
	Audit:      verify,
	NotServed: func(p *form.Place) error {
		return fault.New(fault.Usage, "%s is an agent's cache directory, which cannot be served: it has no upstream files for agents to download", p).
			WithHint("serve the bundle or the site from the same pull; or mount the directory in the agent's pod, without a server")
	},
	Prune: prune,
}

const rewrite = "run the same pull or unpack again: it writes only the damaged and missing files anew"

func recognize(p *form.Place) form.MatchLevel {
	t, err := atomicdir.OpenExisting(p.Path)
	if !p.IsDir() || err != nil {
		return form.NoMatch
	}
	defer t.Close()
	switch {
	case has(t, lockPath), has(t, sumsPath), has(t, supersededPath):
		return form.FullMatch
	case has(t, metaDir), looksCopied(t):
		return form.WeakMatch
	}
	return form.NoMatch
}

func openMirror(_ context.Context, p *form.Place) (*form.Mirror, error) {
	l, err := readDocuments(p.Path)
	if err != nil {
		return nil, err
	}
	return &form.Mirror{Lock: l, Mount: mountOf(p.Path), Content: func(context.Context) (*form.Content, error) {
		d, err := openSource(p.Path)
		if err != nil {
			return nil, err
		}
		return &form.Content{Plugins: d, Close: d.Close}, nil
	}}, nil
}

// mountOf returns where an agent must see a directory, as its indexes have it.
// Of a damaged directory it is not known: whether one is, verify says.
func mountOf(path string) string {
	d, err := openSource(path)
	if err != nil {
		return ""
	}
	defer d.Close()
	for _, p := range d.lock.Platforms {
		for _, r := range d.lock.Repositories {
			data, err := d.Index(p, r)
			if err != nil {
				return ""
			}
			ix, err := agent.ReadIndex(data.Data)
			if mount := pluginsdir.MountIn(ix, err, r.Name, p); mount != "" {
				return mount
			}
		}
	}
	return ""
}

func next(name string, _ form.Written, platforms []agent.Platform, mount string) form.Advice {
	what, which := name, ""
	if len(platforms) > 1 {
		which = " --platform OS/ARCH"
		what = fmt.Sprintf("the sub-directory of the nodes' platform (%s/%s, …), with its name,", name, platforms[0].Dir())
	}
	return form.Advice{Steps: []form.Step{
		{Do: fmt.Sprintf("copy %s to the volume that the agent mounts at %s", what, mount)},
		{Do: "print the Helm values for it", Commands: []string{"botkube-mirror values " + name + " --pvc NAME" + which + " --values YOURS.yaml"}},
	}}
}
