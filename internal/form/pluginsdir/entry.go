package pluginsdir

import (
	"path"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
)

// Entry is a plugin, a dependency or a file of templates as an entry of a cache
// directory. How it is made is for others.
func Entry(p agent.Platform, f lock.File) entry.Entry {
	e := entry.Entry{
		Path: f.Path, Mode: f.Mode(), Needed: f.Mode(), Size: f.Artifact.Size, Guess: true, Most: MostOf(f),
		Content: f.What(), Basis: audit.BySums, Platforms: []agent.Platform{p}, Sources: []lock.Artifact{f.Artifact},
	}
	if pinned, ok := f.Pinned(); ok {
		e.SHA256, e.Size, e.Basis = &pinned.SHA256, pinned.Size, audit.ByLock
		e.Guess = pinned.Size == 0 // that of an artifact which was not downloaded yet
	}
	return e
}

// document is a small file as an entry. The agent reads none in [MetaDir].
func document(p agent.Platform, at, content string) entry.Entry {
	e := entry.Entry{Path: at, Mode: agent.IndexMode, Needed: agent.IndexMode, Most: lock.MaxSize, Document: true, Content: content, Platforms: []agent.Platform{p}}
	if path.Dir(at) == MetaDir {
		e.Needed = 0
	}
	return e
}

// Plan returns the files of a cache directory. Entries of documents have no digests.
func Plan(l *lock.Lock, p agent.Platform) []entry.Entry {
	plan := []entry.Entry{document(p, SumsPath, "the digests of all files"), document(p, LockPath, "the lock")}
	for _, f := range l.Files(p) {
		plan = append(plan, Entry(p, f))
	}
	for _, r := range l.Repositories {
		plan = append(plan, indexEntry(p, r))
	}
	return plan
}

func indexEntry(p agent.Platform, r lock.Repository) entry.Entry {
	return document(p, agent.IndexPath(r.Name), "the index of "+r.Name)
}

// Entry is the document as an entry of a cache directory.
func (d Document) Entry() entry.Entry {
	e := entry.OfData(d.Path, agent.IndexMode, d.Data)
	e.Needed = document(agent.Platform{}, d.Path, "").Needed
	return e
}
