package dir

import (
	"context"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
)

// commit completes a platform's directory. The order counts: whatever comes
// last is what an agent, a later run or a person takes as the sign that the
// rest is there.
func (d *directory) commit(ctx context.Context, l *lock.Lock, p agent.Platform, o Options) (bool, error) {
	files, err := pluginsdir.Documents(l, p, o.Mount, d.made, o.Source)
	if err != nil {
		return false, err
	}
	if err := d.syncWritten(); err != nil {
		return false, err
	}
	var plan []entry.Entry
	for _, f := range files {
		plan = append(plan, f.Entry())
	}
	written, err := entry.WriteAll(ctx, d.Tree, plan)
	if err != nil {
		return false, err
	}
	if err := d.writeSuperseded(supersededBy(d.superseded(), pluginsdir.Paths(l, p))); err != nil {
		return false, err
	}
	d.committed = true
	return written, d.syncWritten()
}

// commitWhole writes the lock of a directory for several platforms. The sums of
// one for a single platform, which it may have been, no longer hold.
func (d *directory) commitWhole(ctx context.Context, l *lock.Lock) (bool, error) {
	data, err := l.Marshal()
	if err != nil {
		return false, err
	}
	_, written, err := entry.Write(ctx, d.Tree, pluginsdir.Document{Path: lockPath, Data: data}.Entry())
	if err != nil {
		return false, err
	}
	d.committed = true
	if err := d.writeSuperseded(supersededBy(d.superseded(), layoutOf(l))); err != nil {
		return false, err
	}
	if err := d.Remove(sumsPath); err != nil {
		return false, err
	}
	return written, d.syncWritten()
}
