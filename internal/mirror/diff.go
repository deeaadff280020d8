package mirror

import (
	"context"
	"io"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

// DiffOptions say what [Session.Diff] does.
type DiffOptions struct {
	// A and B are as the target of [ListOptions].
	A, B  string
	Stdin io.Reader
}

// Diffed is what changed between two mirrors. It is printed as JSON for machines.
type Diffed struct {
	A DiffedSide `json:"a"`
	B DiffedSide `json:"b"`
	// Differences are what changed from A to B.
	Differences []lock.Difference `json:"differences"`
	// Alarming counts those of [lock.Difference.Alarming].
	Alarming int `json:"alarming"`
	// NotCompared are what one side has and the other has no room for.
	NotCompared []NotCompared `json:"notCompared,omitempty"`
}

// DiffedSide is one of two mirrors.
type DiffedSide struct {
	Target         string           `json:"target"`
	Kind           Kind             `json:"kind"`
	BotkubeVersion string           `json:"botkubeVersion,omitempty"`
	Platforms      []agent.Platform `json:"platforms"`
	Tag            string           `json:"tag,omitempty"`
	Digest         string           `json:"digest,omitempty"`
}

// NotCompared is something that one side has no room for.
type NotCompared struct {
	Subject lock.Subject `json:"subject"`
	// Kind is that of the side that has no room.
	Kind Kind `json:"kind"`
}

// Diff compares what two mirrors hold, by their documents.
func (s *Session) Diff(ctx context.Context, o DiffOptions) (*Diffed, error) {
	if o.A == form.StandardStream && o.B == form.StandardStream {
		return nil, fault.New(fault.Usage, "standard input can be read once only").
			WithHint("write one of them to a file")
	}
	a, err := s.inspect(ctx, o.A, o.Stdin)
	if err != nil {
		return nil, err
	}
	b, err := s.inspect(ctx, o.B, o.Stdin)
	if err != nil {
		return nil, err
	}
	diffed := &Diffed{A: a.side(), B: b.side(), Differences: []lock.Difference{}}
	lockA, lockB := a.lock, b.lock
	for _, narrow := range []Kind{a.kind, b.kind} {
		if narrow.holdsMembers() {
			continue
		}
		diffed.leaveOut(narrow, lockA)
		diffed.leaveOut(narrow, lockB)
		lockA, lockB = lockA.PluginsOnly(), lockB.PluginsOnly()
	}
	diffed.Differences = append(diffed.Differences, lock.Diff(lockA, lockB)...)
	for _, d := range diffed.Differences {
		if d.Alarming() {
			diffed.Alarming++
		}
	}
	return diffed, nil
}

// leaveOut notes the members of a lock that a kind has no room for.
func (d *Diffed) leaveOut(narrow Kind, l *lock.Lock) {
	for _, im := range l.Images() {
		d.NotCompared = append(d.NotCompared, NotCompared{im.Role.Subject(), narrow})
	}
	if l.Chart != nil {
		d.NotCompared = append(d.NotCompared, NotCompared{lock.SubjectChart, narrow})
	}
}

func (in *inspected) side() DiffedSide {
	return DiffedSide{
		Target: in.target, Kind: in.kind, BotkubeVersion: in.lock.BotkubeVersion, Platforms: in.lock.Platforms,
		Tag: in.tag, Digest: in.digest,
	}
}
