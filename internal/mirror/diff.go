package mirror

import (
	"context"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

// Diffed is what changed between two mirrors. It is printed as JSON for machines.
type Diffed struct {
	A Identity `json:"a"`
	B Identity `json:"b"`
	// Differences are what changed from A to B.
	Differences []lock.Difference `json:"differences"`
	// Alarming counts those of [lock.Difference.Alarming].
	Alarming int `json:"alarming"`
	// NotCompared are what one side has and the other has no room for.
	NotCompared []NotCompared `json:"notCompared,omitempty"`
}

// NotCompared is something that one side has no room for.
type NotCompared struct {
	Subject lock.Subject `json:"subject"`
	// Kind is that of the side that has no room.
	Kind form.Kind `json:"kind"`
}

// Diff compares what two mirrors hold, by their documents.
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
	diffed := &Diffed{A: identify(a), B: identify(b)}
	diffed.Differences, diffed.NotCompared = compareLocks(a.Form, b.Form, a.Lock, b.Lock)
	for _, d := range diffed.Differences {
		if d.Alarming() {
			diffed.Alarming++
		}
	}
	return diffed, nil
}

// compareLocks also returns the members that are not compared, because one of the two forms
// cannot hold them.
func compareLocks(formA, formB *form.Form, a, b *lock.Lock) (differences []lock.Difference, left []NotCompared) {
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
	return append([]lock.Difference{}, lock.Diff(a, b)...), left
}
