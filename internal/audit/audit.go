// Package audit holds the findings of a verification: the state of each file, the problems, and what
// an agent would do with the mirror.
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

// State is the result of checking a file.
type State string

// The states.
const (
	// Intact is a file with the right bytes, kind and mode.
	Intact State = "intact"
	// Damaged is a file with other bytes, or of another kind or mode.
	Damaged State = "damaged"
	// Missing is a file that should exist.
	Missing State = "missing"
	// Unexpected is a file that no document names and that an agent might run.
	Unexpected State = "unexpected"
)

// StateOf returns the state of a file that could not be read: [Damaged] or [Missing]. For other
// errors, which say nothing about the file, ok is false.
func StateOf(err error) (s State, ok bool) {
	switch fault.KindOf(err) {
	case fault.Integrity:
		return Damaged, true
	case fault.Incomplete:
		return Missing, true
	}
	return "", false
}

// Basis is the document that an expected digest comes from.
type Basis string

// The bases.
const (
	// ByLock means that the lock pins the bytes.
	ByLock Basis = "lock"
	// BySums means that the file was generated, or unpacked from a file that the lock pins, and that
	// SHA256SUMS has its digest since then.
	BySums Basis = "SHA256SUMS"
	// ByIndex means that the generated index of a directory has the digest. It is used if SHA256SUMS
	// has none.
	ByIndex Basis = "index"
	// ByManifest means that an OCI manifest or index names the file by its digest.
	ByManifest Basis = "manifest"
)

// What names the document in messages.
func (b Basis) What() string {
	if b == BySums {
		return string(b)
	}
	return "the " + string(b)
}

// File is one file of a mirror.
type File struct {
	// Path is relative to the target, with slashes. In an image it is absolute.
	Path string `json:"path"`
	// Content describes the file in words.
	Content string `json:"content"`
	// Platforms are empty for a file that is for all platforms.
	Platforms []agent.Platform `json:"platforms,omitempty"`
	State     State            `json:"state"`
	// Size and SHA256 are those of the file as it is. SHA256 is nil if the file cannot be read.
	Size   int64        `json:"size"`
	SHA256 *lock.SHA256 `json:"sha256,omitempty"`
	// Expected is the right digest, if the file has another one.
	Expected *lock.SHA256 `json:"expectedSHA256,omitempty"`
	// Basis is empty for a file that is not expected.
	Basis Basis `json:"basis,omitempty"`
	// Sources are the upstream files that the file was copied or unpacked from.
	Sources []lock.Artifact `json:"sources,omitempty"`
}

// Kind is the kind of a problem.
type Kind string

// The kinds of problems. KindMissing, KindUnfit and KindSetting are not damage.
const (
	KindDamaged    Kind = "damaged"
	KindMissing    Kind = "missing"
	KindUnexpected Kind = "unexpected"
	// KindIndex is an index that the agent refuses, or that names URLs outside the mirror.
	KindIndex Kind = "index"
	// KindDiffers is a difference from the lock that the mirror is compared with.
	KindDiffers Kind = "differs"
	// KindUnfit is a file that its publisher released so that an agent cannot run it.
	KindUnfit Kind = "unfit"
	// KindSetting is a value that makes an agent connect to another host, or look for its files
	// outside the mirror.
	KindSetting Kind = "setting"
)

// Problem is something that is wrong.
type Problem struct {
	Kind Kind `json:"kind"`
	// Path is a file, a directory or a setting. It is empty for a problem of the whole mirror.
	Path string `json:"path,omitempty"`
	// Detail describes the problem in words.
	Detail string `json:"detail"`
}

// Call is a download that an agent would make.
type Call struct {
	Kind agent.CallKind `json:"kind"`
	// Plugin is the key of the plugin that needs the download.
	Plugin     string `json:"plugin"`
	Dependency string `json:"dependency,omitempty"`
	URL        string `json:"url"`
	// Because gives the reason in words.
	Because string `json:"because"`
}

// Prediction says what an agent on one platform would download with every plugin enabled.
type Prediction struct {
	Platform agent.Platform `json:"platform"`
	// Version is set for a site with several versions.
	Version string `json:"version,omitempty"`
	// Plugins counts the keys that were tried: each plugin, and each of its versions if it has several.
	Plugins int `json:"plugins"`
	// External are the downloads from outside the mirror.
	External []Call `json:"externalCalls"`
	// FromMirror counts the downloads from the mirror.
	FromMirror int `json:"callsToMirror"`
	// Failures are the plugins that would not start, each with the reason.
	Failures []string `json:"failures,omitempty"`
}

// Report collects findings. Its methods may be called concurrently. The zero Report is empty.
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

// Add adds a file. If the file is not intact, Add also adds a problem.
func (r *Report) Add(f File, detail string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files = append(r.files, f)
	if f.State != Intact {
		r.problems = append(r.problems, Problem{Kind: Kind(f.State), Path: f.Path, Detail: detail})
	}
}

// add appends to one of the report's lists.
func add[E any](r *Report, to *[]E, e E) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*to = append(*to, e)
}

// ordered returns one of the report's lists, sorted.
func ordered[E any](r *Report, found *[]E, compare func(a, b E) int) []E {
	r.mu.Lock()
	all := slices.Clone(*found)
	r.mu.Unlock()
	slices.SortStableFunc(all, compare)
	return all
}

// Fail adds a problem that [Report.Add] does not add.
func (r *Report) Fail(p Problem) { add(r, &r.problems, p) }

// Expect adds what an agent finds at its start, and predicts what it does.
func (r *Report) Expect(g StartState) {
	add(r, &r.predictions, g.Predict())
	add(r, &r.starts, g)
}

// StartStates returns what agents find at their start, sorted by version and platform.
func (r *Report) StartStates() []StartState {
	return ordered(r, &r.starts, func(a, b StartState) int {
		return cmp.Or(strings.Compare(a.Version, b.Version), agent.ComparePlatforms(a.Platform, b.Platform))
	})
}

// Leave counts files of earlier versions that were not checked. An agent that is configured for
// that version would run them.
func (r *Report) Leave(files int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left += files
}

// Left returns how many files were not checked.
func (r *Report) Left() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.left
}

// Note adds a remark that is not a problem.
func (r *Report) Note(text string) { add(r, &r.notes, text) }

// Expose adds a file that every user may change. That is a note, not a problem: agents start with
// such files, and some file systems have no other modes.
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

// compareSums orders digests. A missing digest comes first.
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

// mergeSorted returns the elements of a and b, each once.
func mergeSorted[E any](a, b []E, compare func(x, y E) int) []E {
	all := slices.Concat(a, b)
	slices.SortFunc(all, compare)
	return slices.CompactFunc(all, func(x, y E) bool { return compare(x, y) == 0 })
}

// Problems returns the problems, each once: damage first, then by path.
func (r *Report) Problems() []Problem {
	order := []Kind{KindDamaged, KindUnexpected, KindIndex, KindDiffers, KindSetting, KindMissing}
	return slices.Compact(ordered(r, &r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind)), strings.Compare(a.Path, b.Path), strings.Compare(a.Detail, b.Detail))
	}))
}

// Predictions returns the predictions, sorted by version and platform.
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
		all = append(all, fmt.Sprintf("every user can change %d files, for example %s: the next pull or unpack corrects their modes if the file system allows it",
			n, slices.Min(r.exposed)))
	}
	r.mu.Unlock()
	slices.Sort(all)
	return slices.Compact(all)
}
