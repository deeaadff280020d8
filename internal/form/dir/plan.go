package dir

import (
	"context"
	"path"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// Plan returns the plugins and dependencies of all platforms as entries of a
// directory, with sizes that are good for forecasts. Of an archive that was never
// unpacked here, its own size stands for what is in it.
func Plan(l *lock.Lock, from pluginsdir.Source) []entry.Entry {
	var plan []entry.Entry
	for _, p := range l.Platforms {
		for _, f := range l.Files(p) {
			e := fileEntry(p, f, from)
			if made, known := from.Expected(p, f); known && f.Artifact.Size > 0 {
				e.Size, e.Guess = made.Size, false
			}
			if len(l.Platforms) > 1 {
				e.Path = path.Join(p.Dir(), e.Path)
			}
			plan = append(plan, e)
		}
	}
	return plan
}

// fileEntry is a file as an entry of a platform's directory.
func fileEntry(p agent.Platform, f lock.File, from pluginsdir.Source) entry.Entry {
	e := pluginsdir.Entry(p, f)
	e.Make = func(ctx context.Context, to blob.Sink) error { return from.Make(ctx, p, f, to) }
	if known, ok := from.Known(p, f); ok {
		e.SHA256, e.Size, e.Guess = &known.SHA256, known.Size, known.Size == 0
	}
	return e
}
