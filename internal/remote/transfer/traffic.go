package transfer

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Traffic records which hosts have requests under way, and how many bytes moved, for the progress
// display. A nil Traffic records nothing. Its methods may be called concurrently.
type Traffic struct {
	mu sync.Mutex
	// asked has the hosts of the requests under way, the oldest first.
	asked []*exchange
	moved atomic.Int64
}

type exchange struct{ host string }

// Ask records a request to a host, until the caller calls end. Calling end again does nothing.
func (t *Traffic) Ask(host string) (end func()) {
	if t == nil {
		return func() {}
	}
	e := &exchange{host}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked = append(t.asked, e)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.asked = slices.DeleteFunc(t.asked, func(other *exchange) bool { return other == e })
	}
}

// Move adds n bytes of a request's or an answer's body.
func (t *Traffic) Move(n int) {
	if t != nil && n > 0 {
		t.moved.Add(int64(n))
	}
}

// Moved returns how many bytes have moved.
func (t *Traffic) Moved() int64 { return t.moved.Load() }

// Asked returns the hosts of the requests under way, each once, the oldest request first.
func (t *Traffic) Asked() (hosts []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.asked {
		if !slices.Contains(hosts, e.host) {
			hosts = append(hosts, e.host)
		}
	}
	return hosts
}
