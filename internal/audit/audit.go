// Package audit is what a verification finds out about a mirror: what each file
// should be and is, what is wrong, and what an agent would do with all of it.
package audit

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// State is what was found of a file.
type State string

// The states.
const (
	// Intact is a file that is there, byte for byte, and can be used.
	Intact State = "intact"
	// Damaged is one with other bytes or of another kind or mode.
	Damaged State = "damaged"
	// Missing is one that should be there.
	Missing State = "missing"
	// Unexpected is one that nothing names and that an agent might run.
	Unexpected State = "unexpected"
)

// StateOf returns what an error of reading a file makes of it: [Damaged] or
// [Missing]. Of any other error, ok is false: it says nothing of the file.
func StateOf(err error) (s State, ok bool) {
	switch fault.KindOf(err) {
	case fault.Integrity:
		return Damaged, true
	case fault.Incomplete:
		return Missing, true
	}
	return "", false
}

// Basis says which document an expected digest stands in.
type Basis string

// The bases.
const (
	// ByLock means that the lock pins these very bytes.
	ByLock Basis = "lock"
	// BySums means that the file was unpacked of one that the lock pins, or
	// generated, and that its digest was noted then.
	BySums Basis = "SHA256SUMS"
	// ByIndex means that the index of a directory, which was generated, has the
	// digest: the second best where SHA256SUMS does not.
	ByIndex Basis = "index"
	// ByManifest means that a document of OCI's names the file by its digest.
	ByManifest Basis = "manifest"
)

// File is one file of a mirror.
type File struct {
	// Path is relative to the target, with slashes. In an image it is absolute.
	Path string `json:"path"`
	// Content says in words what the file is.
	Content string `json:"content"`
	// Platforms are those that the file is for; none where it is for all.
	Platforms []agent.Platform `json:"platforms,omitempty"`
	State     State            `json:"state"`
	// Size, in bytes, and SHA256 are as found; absent if the file is, or cannot be read.
	Size   int64        `json:"size"`
	SHA256 *lock.SHA256 `json:"sha256,omitempty"`
	// Expected is what SHA256 should be, where it is not.
	Expected *lock.SHA256 `json:"expectedSHA256,omitempty"`
	// Basis says who expects it; empty where nobody does.
	Basis Basis `json:"basis,omitempty"`
	// Sources are the upstream files that the file is a copy of, or was unpacked from.
	Sources []lock.Artifact `json:"sources,omitempty"`
}

// Kind is what sort of problem there is.
type Kind string

// The kinds of problems. All but KindMissing, KindUnfit and KindSetting are damage.
const (
	KindDamaged    Kind = "damaged"
	KindMissing    Kind = "missing"
	KindUnexpected Kind = "unexpected"
	// KindIndex is an index that the agent refuses, or that leads out of the mirror.
	KindIndex Kind = "index"
	// KindDiffers is a difference from the lock that the mirror is compared with.
	KindDiffers Kind = "differs"
	// KindUnfit is a file that was published so that an agent cannot run it. It is no damage.
	KindUnfit Kind = "unfit"
	// KindSetting is a value that has an agent call elsewhere, or look elsewhere
	// than at the mirror. It is no damage.
	KindSetting Kind = "setting"
)

// Problem is something that is wrong.
type Problem struct {
	Kind Kind `json:"kind"`
	// Path is that of a file, of what holds it, or a setting; empty for the whole.
	Path string `json:"path,omitempty"`
	// Detail says in words what is wrong.
	Detail string `json:"detail"`
}

// Call is a download that an agent would make.
type Call struct {
	Kind agent.CallKind `json:"kind"`
	// Plugin is the key of the plugin that is behind it.
	Plugin     string `json:"plugin"`
	Dependency string `json:"dependency,omitempty"`
	URL        string `json:"url"`
	// Because says in words why it would be made.
	Because string `json:"because"`
}

// Prediction is what an agent on one platform would do with every plugin enabled.
type Prediction struct {
	Platform agent.Platform `json:"platform"`
	// Version is that of a site that has several.
	Version string `json:"version,omitempty"`
	// Plugins is how many keys were tried: every plugin, and where it has
	// several versions each of those.
	Plugins int `json:"plugins"`
	// External are the downloads from elsewhere than the mirror.
	External []Call `json:"externalCalls"`
	// FromMirror is how many downloads it would make from the mirror.
	FromMirror int `json:"callsToMirror"`
	// Failures say why plugins would not start.
	Failures []string `json:"failures,omitempty"`
}

// Report gathers what is found, concurrently. The zero Report is empty.
type Report struct {
	mu          sync.Mutex
	files       []File
	problems    []Problem
	predictions []Prediction
	starts      []StartState
	notes       []string
	exposed     []string
	left        int
}

// Add adds a file, and, unless it is intact, a problem with it.
func (r *Report) Add(f File, detail string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files = append(r.files, f)
	if f.State != Intact {
		r.problems = append(r.problems, Problem{Kind: Kind(f.State), Path: f.Path, Detail: detail})
	}
}

// add adds to what was found.
func add[E any](r *Report, to *[]E, e E) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*to = append(*to, e)
}

// ordered returns what was found in an order.
func ordered[E any](r *Report, found *[]E, compare func(a, b E) int) []E {
	r.mu.Lock()
	all := slices.Clone(*found)
	r.mu.Unlock()
	slices.SortStableFunc(all, compare)
	return all
}

// Fail adds a problem that is not one of a single file's bytes.
func (r *Report) Fail(p Problem) { add(r, &r.problems, p) }

// Expect adds what an agent would find, and so do.
func (r *Report) Expect(g StartState) {
	add(r, &r.predictions, g.Predict())
	add(r, &r.starts, g)
}

// StartStates returns what agents would find, in the order of versions and platforms.
func (r *Report) StartStates() []StartState {
	return ordered(r, &r.starts, func(a, b StartState) int {
		return cmp.Or(strings.Compare(a.Version, b.Version), agent.ComparePlatforms(a.Platform, b.Platform))
	})
}

// Leave counts files that were not looked at: what an earlier version left, and an
// agent that asks for that version would run.
func (r *Report) Leave(files int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left += files
}

// Left returns how many files were not looked at.
func (r *Report) Left() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.left
}

// Note adds something worth knowing that is no problem.
func (r *Report) Note(text string) { add(r, &r.notes, text) }

// Expose adds a file that every user may change. An agent starts from it all the
// same, and some file systems know no other modes, so it is noted.
func (r *Report) Expose(path string) { add(r, &r.exposed, path) }

// Files returns the files in the order of their paths, whatever the order in which
// they were added. One that was added for several platforms, or versions, stands
// once.
func (r *Report) Files() []File {
	all := ordered(r, &r.files, func(a, b File) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(string(a.State), string(b.State)), compareSums(a.SHA256, b.SHA256),
			compareSums(a.Expected, b.Expected), strings.Compare(string(a.Basis), string(b.Basis)), strings.Compare(a.Content, b.Content))
	})
	var files []File
	for _, f := range all {
		n := len(files) - 1
		if n < 0 || files[n].Path != f.Path || files[n].State != f.State || compareSums(files[n].SHA256, f.SHA256) != 0 {
			files = append(files, f)
			continue
		}
		files[n].Platforms = mergeSorted(files[n].Platforms, f.Platforms, agent.ComparePlatforms)
		files[n].Sources = mergeSorted(files[n].Sources, f.Sources, func(a, b lock.Artifact) int { return strings.Compare(a.URL, b.URL) })
	}
	return files
}

// compareSums orders digests, of which none comes first.
func compareSums(a, b *lock.SHA256) int {
	var none []byte
	x, y := none, none
	if a != nil {
		x = a[:]
	}
	if b != nil {
		y = b[:]
	}
	return bytes.Compare(x, y)
}

// mergeSorted returns what is in a or b, each once.
func mergeSorted[E any](a, b []E, compare func(x, y E) int) []E {
	all := slices.Concat(a, b)
	slices.SortFunc(all, compare)
	return slices.CompactFunc(all, func(x, y E) bool { return compare(x, y) == 0 })
}

// Problems returns the problems, each once, damage first, in the order of their paths.
func (r *Report) Problems() []Problem {
	order := []Kind{KindDamaged, KindUnexpected, KindIndex, KindDiffers, KindSetting, KindMissing}
	return slices.Compact(ordered(r, &r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind)), strings.Compare(a.Path, b.Path), strings.Compare(a.Detail, b.Detail))
	}))
}

// Predictions returns what agents would do, in the order of versions and platforms.
func (r *Report) Predictions() []Prediction {
	return ordered(r, &r.predictions, func(a, b Prediction) int {
		return cmp.Or(strings.Compare(a.Version, b.Version), agent.ComparePlatforms(a.Platform, b.Platform))
	})
}

// Notes returns the notes, sorted, each once.
func (r *Report) Notes() []string {
	r.mu.Lock()
	all := slices.Clone(r.notes)
	if n := len(r.exposed); n > 0 {
		all = append(all, fmt.Sprintf("every user may change %d of the files, for example %s: the next pull or unpack takes that right away if the file system lets it",
			n, slices.Min(r.exposed)))
	}
	r.mu.Unlock()
	slices.Sort(all)
	return slices.Compact(all)
}
