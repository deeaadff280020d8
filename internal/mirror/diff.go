package mirror

import (
	"context"
	"slices"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

// Diffed is the difference between two mirrors. It is printed as JSON for machines.
type Diffed struct {
	A DiffedSide `json:"a"`
	B DiffedSide `json:"b"`
	// Differences are what changed from A to B.
	Differences []lock.Difference `json:"differences"`
	// Alarming counts those of [lock.Difference.Alarming].
	Alarming int `json:"alarming"`
	// NotCompared are what one side has and the other has no room for.
	NotCompared []NotCompared `json:"notCompared,omitempty"`
	// New is the content of B that A lacks.
	New NewContent `json:"new"`
}

// DiffedSide is one of the two mirrors.
type DiffedSide struct {
	Identity
	// Totals are those of what is compared.
	Totals ListedTotals `json:"totals"`
}

// NewContent is the content that B has and A does not have.
type NewContent struct {
	// Files counts the files of plugins and dependencies.
	Files int `json:"files"`
	// Bytes is the size of all content, each once, with images and the chart.
	Bytes int64 `json:"bytes"`
	// Unverified are the URLs of the files without a publisher's checksum.
	Unverified []string `json:"unverified"`
}

// NotCompared is something that the form of one side cannot have.
type NotCompared struct {
	Subject lock.Subject `json:"subject"`
	// Kind is that of the side that has no room.
	Kind form.Kind `json:"kind"`
}

// Diff compares the content of two mirrors. It reads only documents, no plugin files.
func (s *Session) Diff(ctx context.Context, targetA, targetB string) (*Diffed, error) {
	if err := checkStandardInput(targetA, targetB); err != nil {
		return nil, err
	}
	a, err := s.open(ctx, targetA)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	b, err := s.open(ctx, targetB)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	from, to, left := comparableParts(a.Form, b.Form, a.Lock, b.Lock)
	diffed := &Diffed{
		A: DiffedSide{identify(a), listLock(from).Totals}, B: DiffedSide{identify(b), listLock(to).Totals},
		Differences: differences(from, to), NotCompared: left, New: newContent(from, to),
	}
	for _, d := range diffed.Differences {
		if d.Alarming() {
			diffed.Alarming++
		}
	}
	return diffed, nil
}

// comparableParts returns of two locks what both forms can hold, and what is left out.
func comparableParts(formA, formB *form.Form, a, b *lock.Lock) (fromA, fromB *lock.Lock, left []NotCompared) {
	for _, narrow := range []*form.Form{formA, formB} {
		if narrow.Members {
			continue
		}
		for _, l := range []*lock.Lock{a, b} {
			for _, im := range l.Images() {
				left = append(left, NotCompared{im.Role.Subject(), narrow.Kind})
			}
			if l.Chart != nil {
				left = append(left, NotCompared{lock.SubjectChart, narrow.Kind})
			}
		}
		a, b = a.PluginsOnly(), b.PluginsOnly()
	}
	return a, b, left
}

// differences returns an empty list, not nil, if nothing differs.
func differences(a, b *lock.Lock) []lock.Difference {
	return append([]lock.Difference{}, lock.Diff(a, b)...)
}

func newContent(a, b *lock.Lock) NewContent {
	has := map[lock.SHA256]bool{}
	for _, blob := range a.Blobs() {
		has[blob.SHA256] = true
	}
	found := NewContent{Unverified: []string{}}
	for _, artifact := range b.Artifacts {
		if has[artifact.SHA256] {
			continue
		}
		found.Files++
		if artifact.VerifiedBy == lock.ByNone {
			found.Unverified = append(found.Unverified, artifact.URL)
		}
	}
	found.Bytes = lock.SizeOf(slices.DeleteFunc(b.Blobs(), func(blob lock.Blob) bool { return has[blob.SHA256] }))
	return found
}
