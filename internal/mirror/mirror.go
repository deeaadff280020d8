// Package mirror carries out the commands: pull, lock, unpack, push, verify and the others. It
// reports progress as events.
package mirror

import (
	"context"
	"io"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/configured"
	"github.com/botkube-mirror/botkube-mirror/internal/content/blob"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/registry"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

// Session has the store and the network clients of one run. Fields that a command does not need are
// nil.
type Session struct {
	Store    *store.Store
	Fetch    *fetch.Client
	Registry *registry.Client
	// Source is for the registry that is read, if Registry is not.
	Source *registry.Client
	// Stdin is read if a target is "-", if not nil.
	Stdin io.Reader
	// Parallel is how many files are downloaded or uploaded at a time; at least 1.
	Parallel int
	// Observe receives events, from several goroutines. It must not be nil.
	Observe func(Event)
}

// EventKind says what happened.
type EventKind string

// The kinds of events.
const (
	// EventPlanned opens an activity: Total is the sum of the known sizes, in bytes.
	EventPlanned EventKind = "planned"
	// EventProgress tells of bytes of an artifact, an output or a mirror. If it has no subject,
	// they are of no activity: something moves.
	EventProgress EventKind = "progress"
	// EventStarted, EventResumed, EventRetrying, EventRestarted, EventFetched, EventReused and
	// EventFailed are about one artifact.
	EventStarted   EventKind = "started"
	EventResumed   EventKind = "resumed"
	EventRetrying  EventKind = "retrying"
	EventRestarted EventKind = "restarted"
	EventFetched   EventKind = "fetched"
	EventReused    EventKind = "reused"
	EventFailed    EventKind = "failed"
	// EventReading is about an index or another document that is asked of another server than its own.
	EventReading EventKind = "reading"
	// EventUnpacked is about an artifact of a mirror that is read.
	EventUnpacked EventKind = "unpacked"
	// EventUploading and EventUploaded are about a blob that goes to a registry.
	EventUploading EventKind = "uploading"
	EventUploaded  EventKind = "uploaded"
	// EventWaiting is about another run that has what is needed.
	EventWaiting EventKind = "waiting"
	// EventDisplaced is about what was in the way of an output, and was moved.
	EventDisplaced EventKind = "displaced"
	// EventNote is about something that a person should know of the result,
	// EventWarning about something that may be wrong with it.
	EventNote    EventKind = "note"
	EventWarning EventKind = "warning"
	// EventWriting opens the writing of an output at the end of a run. The size of the output is
	// known.
	EventWriting EventKind = "writing"
	// EventWritten is about one file of an output.
	EventWritten EventKind = "written"
	// EventCompleted is about a whole output.
	EventCompleted EventKind = "completed"
)

// Activity is the kind of work that moves most of the bytes of a run.
type Activity string

// The activities.
const (
	Downloading Activity = "downloading"
	Unpacking   Activity = "unpacking"
	Uploading   Activity = "uploading"
	Verifying   Activity = "verifying"
	Writing     Activity = "writing"
)

// Event is something that happened. It has no influence on what happens next.
type Event struct {
	Kind EventKind
	// Activity is what begins with an EventPlanned.
	Activity Activity
	// Subject is the artifact's URL, the output's path or the file's.
	Subject string
	// From is what is asked in the place of the subject, with an EventStarted or EventReading.
	From string
	// Bytes is a number of bytes: how many moved (EventProgress), how many existed before
	// (EventResumed), or the size of the artifact (EventFetched, EventReused).
	Bytes int64
	// Total is the size in bytes, or -1 where it is not known.
	Total int64
	// Count is the number of artifacts of an EventPlanned.
	Count int
	// Detail says why, in words.
	Detail string
	// Wait is how long an EventRetrying waits.
	Wait time.Duration
}

// Configured is what the values of a selection come to, or nil if it has none.
func (a *prefetcher) resolve(ctx context.Context, sel resolve.Selection) (*resolve.Plan, *configured.Agent, error) {
	return a.resolver(a.collected).Select(ctx, sel)
}

func (s *Session) resolver(collected func([]fetch.Request)) *resolve.Resolver {
	return &resolve.Resolver{
		Fetch: s.Fetch, Store: s.Store, Registry: s.Registry,
		Note: func(text string) { s.Observe(Event{Kind: EventNote, Detail: text}) }, Warn: s.warn,
		Collected: collected, Lookups: s.questions(),
	}
}

// questions bounds small requests: a lower --parallel has servers asked less often.
func (s *Session) questions() int { return 6 * s.Parallel }

// watched returns a context in which copying is the progress of a subject. Without a subject, it is
// only a sign that something moves.
func (s *Session) watched(ctx context.Context, subject string) context.Context {
	return blob.Watched(ctx, func(n int64) { s.Observe(Event{Kind: EventProgress, Subject: subject, Bytes: n}) })
}

func (s *Session) warn(text string) { s.Observe(Event{Kind: EventWarning, Detail: text}) }
