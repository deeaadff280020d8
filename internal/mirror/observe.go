package mirror

import (
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/push"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
)

// Waiting is the event that another run, or another part of this one, is
// downloading the same.
func Waiting(subject string) Event {
	return Event{Kind: EventWaiting, Subject: subject, Detail: "another download of it is under way"}
}

// observer makes events of what a download tells.
func observer(tell func(Event)) fetch.Observer {
	return fetch.Observer{
		Waiting:  func() { tell(Waiting("")) },
		Started:  func(total int64) { tell(Event{Kind: EventStarted, Total: total}) },
		Resumed:  func(offset int64) { tell(Event{Kind: EventResumed, Bytes: offset}) },
		Received: func(n int) { tell(Event{Kind: EventProgress, Bytes: int64(n)}) },
		Retrying: func(err error, pause time.Duration) {
			tell(Event{Kind: EventRetrying, Detail: err.Error(), Wait: pause})
		},
		Restarted: func(reason string) { tell(Event{Kind: EventRestarted, Detail: reason}) },
	}
}

// pushObserver makes events of what a push tells.
func (s *Session) pushObserver() push.Observer {
	return push.Observer{
		Planned:   func(blobs int, size int64) { s.Observe(Event{Kind: EventPlanned, Count: blobs, Total: size}) },
		Uploading: func(blob string, size int64) { s.Observe(Event{Kind: EventUploading, Subject: blob, Total: size}) },
		Progress:  s.progressOf,
		Uploaded: func(blob string, size int64, reused bool) {
			kind := EventUploaded
			if reused {
				kind = EventReused // the registry has it
			}
			s.Observe(Event{Kind: kind, Subject: blob, Bytes: size, Total: size})
		},
		Tagged: func(reference string) { s.Observe(Event{Kind: EventCompleted, Subject: reference}) },
	}
}
