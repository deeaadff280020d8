package transfer

import (
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Lines that share a limiter share its rate, both ways, and evenly.
func TestLimiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const perSecond, each, lines = 10_000, 10_000, 4
		limit := NewLimiter(perSecond)
		begun := time.Now()
		var mu sync.Mutex
		moved := map[time.Duration]int{}
		var wg sync.WaitGroup
		note := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			moved[time.Since(begun).Truncate(time.Second)] += n
		}
		for i := range lines {
			near, far := net.Pipe()
			l := newTrackedConn(near, time.Hour, limit)
			l.established()
			from, to := io.Reader(far), io.Writer(l)
			if i%2 == 0 {
				from, to = l, far
			}
			wg.Go(func() { _, _ = to.Write(make([]byte, each)) })
			wg.Go(func() {
				buf := make([]byte, each)
				for left := each; left > 0; {
					n, _ := from.Read(buf)
					left -= n
					note(n)
				}
			})
		}
		wg.Wait()
		if d := time.Since(begun); d < lines*each/perSecond*time.Second-time.Second || d > lines*each/perSecond*time.Second {
			t.Errorf("%d bytes took %s", lines*each, d)
		}
		for second, n := range moved {
			if n > perSecond*3/2 {
				t.Errorf("%d bytes in the second after %s", n, second)
			}
		}
	})
}

// Closing a line ends its wait.
func TestLimiterEndsWithTheLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, far) }()
		l := newTrackedConn(near, time.Hour, NewLimiter(1))
		begun, done := time.Now(), make(chan error)
		go func() {
			_, err := l.Write(make([]byte, 1000))
			done <- err
		}()
		time.Sleep(10 * time.Second)
		_ = l.Close()
		if err := <-done; err == nil || time.Since(begun) != 10*time.Second {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		_ = far.Close()
	})
}

func TestNoLimiter(t *testing.T) {
	t.Parallel()
	p := make([]byte, 10)
	if l := NewLimiter(0); l != nil || len(l.Piece(p)) != 10 {
		t.Error("it limits")
	}
}
