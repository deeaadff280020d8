package form

import (
	"context"
	"io"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
)

// Output is a way to write a form.
type Output struct {
	// Prefix is FORM in a target FORM:PATH.
	Prefix string
	// Members is that of the form.
	Members bool
	// Unpacks says that archives are unpacked while it is written.
	Unpacks bool
	// File says that the path is that of one file, not of a directory.
	File bool
	// Documents says that the path may be followed by the name of a document in it.
	Documents bool
	// Streams says that it can be written to standard output.
	Streams bool
	// TakesBaseURL and TakesSeeders say which options count.
	TakesBaseURL, TakesSeeders bool
	// LockPath, if not empty, is where in the output its lock is.
	LockPath string
	// Check reports early what can be known to be wrong. It leaves nothing behind.
	Check func(ctx context.Context, path string, o WriteOptions) error
	// Need returns how many more bytes the mirror of a lock takes at a path, and
	// whether it may be more. If the size of an artifact is 0, it is not known yet.
	Need func(ctx context.Context, path string, l *lock.Lock, from Content) (bytes int64, atLeast bool)
	// NeedTemporary, if not nil, says how many bytes of it wait in temporary files.
	NeedTemporary func(l *lock.Lock) int64
	// Open begins to write the mirror of a lock, whose sizes and digests do not matter yet.
	Open func(ctx context.Context, path string, l *lock.Lock, from Content, o WriteOptions) (Writer, error)
	// Next says to a person how what was written is used.
	Next func(path string, w Written, platforms []agent.Platform, mount string) Advice
}

// Advice says to a person how an output is used.
type Advice struct {
	Notes []string
	// Settings are Helm values of the agent.
	Settings []Setting
	Steps    []Step
}

// Setting is a Helm value. Key has the names of the maps that it is in, with dots between.
type Setting struct{ Key, Value string }

// Step is something to do, with command lines for it.
type Step struct {
	Do       string
	Commands []string
	// Or says that it is in the place of the step before.
	Or bool
}

// WriteOptions say how a mirror is written. None of the functions may be nil.
type WriteOptions struct {
	// Mount is where the agent will see a directory, or an image.
	Mount string
	// BaseURL is where a site will be served.
	BaseURL string
	// Seeders are the programs that an image starts, by platform.
	Seeders Seeders
	// ModTime is the time of files in archives: the epoch if it is zero.
	ModTime time.Time
	// Stdout receives a mirror whose path is "-".
	Stdout io.Writer
	// Waiting is called when another run has the output.
	Waiting func(path string)
	// Displaced is called for what was in the way of an output that an earlier
	// run wrote, with where it was and where it was moved.
	Displaced func(path, to string)
	// Left is called for a file of others that stays where a page for people belongs.
	Left func(path string)
	// Writing is called where all is written in the end, with the size of that in
	// bytes, or -1 if it is not known.
	Writing func(size int64)
	// Wrote is called for each file of the output, with what the file is.
	Wrote func(what string)
}

// Writer writes one output.
type Writer interface {
	// Add makes what can be made of an artifact, which is there now, and reports
	// whether anything was written. If the output has Members, blobs of images may be
	// added, too: they have no URL. It may be called concurrently.
	Add(ctx context.Context, a lock.Artifact) (changed bool, err error)
	// Commit completes the output. Every artifact of the lock was added.
	Commit(ctx context.Context, l *lock.Lock) (Written, error)
	// Close removes what is unfinished.
	Close() error
}

// Written is what an output turned out to be. It is printed as JSON for machines.
type Written struct {
	// Changed says whether anything was written.
	Changed bool `json:"changed"`
	// Tag is that of a bundle, an image or a site, Digest that of a bundle or an image.
	Tag    string `json:"tag,omitempty"`
	Digest string `json:"digest,omitempty"`
	// Size of a bundle or an image is in bytes.
	Size int64 `json:"size,omitempty"`
	// MountOnly are the platforms whose image has no program to seed a volume.
	MountOnly []agent.Platform `json:"mountOnly,omitempty"`
	// Indexes are the URLs of a site's indexes, by repository.
	Indexes map[string]string `json:"indexes,omitempty"`
	// Templates are the URLs of a site's templates.
	Templates []Template `json:"templates,omitempty"`
}
