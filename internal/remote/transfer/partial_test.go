package transfer

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
)

type sum struct{ hash.Hash }

func (s sum) SHA256() lock.SHA256 { return lock.SHA256(s.Sum(nil)) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// partial opens what there is of a blob.
func partial(t *testing.T, s *store.Store) (p *Partial, sums sum) {
	t.Helper()
	in, err := s.Ingest(t.Context(), "key", nil)
	check(t, err)
	t.Cleanup(func() { _ = in.Close() })
	sums = sum{sha256.New()}
	return NewPartial(in, sums), sums
}

func newStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.TempDir())
	check(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func random(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	return data
}

// Wherever a process ends, it is less than 1 MiB that no checkpoint vouches for.
func TestLittleIsLost(t *testing.T) {
	t.Parallel()
	p, _ := partial(t, newStore(t))
	data := random(20 << 20)
	for len(data) > 0 {
		n := min(len(data), 1+rand.IntN(256<<10))
		check(t, p.Add(data[:n]))
		data = data[n:]
		kept := int64(0)
		if points := p.Checkpoints(); len(points) > 0 {
			kept = points[len(points)-1].Size
		}
		if lost := p.Size() - kept; lost >= 1<<20 {
			t.Fatalf("%d bytes of %d are not vouched for", lost, p.Size())
		}
	}
}

func TestRecover(t *testing.T) {
	t.Parallel()
	const size = 4 << 20
	data := random(size)
	damage := func(at int64) func(*testing.T, *Partial) {
		return func(t *testing.T, p *Partial) {
			_, err := p.File().WriteAt(make([]byte, 4096), at)
			check(t, err)
		}
	}
	tests := map[string]struct {
		harm        func(*testing.T, *Partial)
		vouched     bool
		least, most int64
	}{
		"nothing wrong":             {func(*testing.T, *Partial) {}, true, size, size},
		"nothing known":             {func(*testing.T, *Partial) {}, false, size, size},
		"a hole at the start":       {damage(0), true, 0, 0},
		"a hole in the middle":      {damage(3 << 20), true, 2 << 20, 3 << 20},
		"a hole, nothing known":     {damage(3 << 20), false, 2 << 20, 3 << 20},
		"a tail of another file":    {func(t *testing.T, p *Partial) { _, err := p.Write(make([]byte, 300<<10)); check(t, err) }, true, size, size},
		"cut off":                   {func(t *testing.T, p *Partial) { check(t, p.Truncate(3<<20-1)) }, true, 2 << 20, 3<<20 - 1},
		"notes lost":                {func(t *testing.T, p *Partial) { check(t, os.Remove(notes(p))) }, true, size, size},
		"notes lost, nothing known": {func(t *testing.T, p *Partial) { check(t, os.Remove(notes(p))) }, false, 0, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			p, _ := partial(t, s)
			for at := 0; at < size; at += 100_000 {
				check(t, p.Add(data[at:min(at+100_000, size)]))
			}
			check(t, p.Secure())
			test.harm(t, p)
			check(t, p.Close())

			p, sums := partial(t, s)
			kept, err := p.Recover(t.Context(), test.vouched, 1<<40)
			check(t, err)
			if kept < test.least || kept > test.most || p.Size() != kept {
				t.Errorf("kept %d bytes, of %d", kept, p.Size())
			}
			if sums.SHA256() != lock.Sum(data[:kept]) {
				t.Error("what is kept is not good, or not what was hashed")
			}
			check(t, p.Add(data[kept:]))
			got, err := os.ReadFile(p.Path())
			check(t, err)
			if !bytes.Equal(got, data) || sums.SHA256() != lock.Sum(data) {
				t.Error("what was added to it does not make the whole")
			}
		})
	}
}

// notes is where checkpoints are.
func notes(p *Partial) string { return p.Path()[:len(p.Path())-len(".part")] + ".sums" }
