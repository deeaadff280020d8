package site

import (
	"context"
	"path"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form/entry"
)

// Plan returns the upstream files of a version as entries of a site. An artifact of
// 0 bytes is one of which the size is not known yet.
func Plan(l *lock.Lock) []entry.Entry {
	at := map[string]int{}
	var plan []entry.Entry
	for _, a := range l.Artifacts {
		e := fileEntry(a)
		i, planned := at[e.Path]
		if !planned {
			at[e.Path] = len(plan)
			plan = append(plan, e)
			continue
		}
		plan[i].Sources = append(plan[i].Sources, a)
	}
	return plan
}

// fileEntry is an upstream file as an entry of a site.
func fileEntry(a lock.Artifact) entry.Entry {
	e := entry.OfBlob(FilePath(a), fileMode, a.Blob)
	e.Guess = a.Size == 0
	e.Content, e.Basis, e.Sources = "an upstream file", audit.ByLock, []lock.Artifact{a}
	return e
}

// madeOf is fileEntry, made of a blob.
func madeOf(a lock.Artifact, blobs blob.Source) entry.Entry {
	e := fileEntry(a)
	e.Make = func(ctx context.Context, to blob.Sink) error {
		if err := blobs.Verify(ctx, a.SHA256); err != nil {
			return err
		}
		from, err := blobs.Open(a.SHA256)
		if err != nil {
			return err
		}
		defer from.Close()
		return blob.Copy(ctx, to, from)
	}
	return e
}

// plan returns all files of a version.
func (s *state) plan() []entry.Entry {
	if s.lock == nil {
		return nil
	}
	plan := []entry.Entry{document(path.Join(s.tag, sumsName), "the digests of all files"), document(path.Join(s.tag, lockName), "the lock")}
	plan = append(plan, Plan(s.lock)...)
	for _, r := range s.lock.Repositories {
		e := document(indexPath(s.tag, r.Name), "the index of "+r.Name)
		e.Basis = audit.BySums
		plan = append(plan, e)
	}
	return plan
}

// document is a small file of a version, of which nothing is known.
func document(p, content string) entry.Entry {
	return entry.Entry{Path: p, Mode: fileMode, Needed: fileMode, Most: maxDocument, Content: content, Document: true}
}
