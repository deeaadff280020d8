package mirror

import (
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/fetch"
)

// observer makes events of what a download tells.
func observer(tell func(Event)) fetch.Observer {
	return fetch.Observer{
		Waiting:  func() { tell(Event{Kind: EventWaiting, Detail: "another download of it is under way"}) },
		Started:  func(total int64) { tell(Event{Kind: EventStarted, Total: total}) },
		Resumed:  func(offset int64) { tell(Event{Kind: EventResumed, Bytes: offset}) },
		Received: func(n int) { tell(Event{Kind: EventProgress, Bytes: int64(n)}) },
		Retrying: func(err error, pause time.Duration) {
			tell(Event{Kind: EventRetrying, Detail: err.Error(), Wait: pause})
		},
		Restarted: func(reason string) { tell(Event{Kind: EventRestarted, Detail: reason}) },
	}
}
