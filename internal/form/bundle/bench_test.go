package bundle

import (
	"context"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
)

// bigWorld is a lock whose artifacts are in a store, of n bytes in all. A store
// that is opened anew knows none of them.
func bigWorld(b *testing.B, n int64) (*lock.Lock, *store.Store) {
	b.Helper()
	l, m := world(b)
	dir := b.TempDir()
	s, err := store.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	for _, data := range m.blobs {
		if _, err := s.Put(data); err != nil {
			b.Fatal(err)
		}
	}
	random := rand.NewChaCha8([32]byte{})
	for i := range l.Artifacts {
		data := make([]byte, n/int64(len(l.Artifacts)))
		_, _ = random.Read(data)
		if l.Artifacts[i].SHA256, err = s.Put(data); err != nil {
			b.Fatal(err)
		}
		l.Artifacts[i].Size = int64(len(data))
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	if s, err = store.Open(dir); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return l, s
}

const benchSize = 1 << 30

// BenchmarkCopy is what BenchmarkWriteFile compares with: cp and sync.
func BenchmarkCopy(b *testing.B) {
	l, s := bigWorld(b, benchSize)
	b.SetBytes(benchSize)
	for b.Loop() {
		f, err := os.Create(filepath.Join(b.TempDir(), "all"))
		if err != nil {
			b.Fatal(err)
		}
		for _, a := range l.Artifacts {
			from, err := s.Open(a.SHA256)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(f, from); err != nil {
				b.Fatal(err)
			}
			from.Close()
		}
		f.Sync()
		f.Close()
		os.Remove(f.Name())
	}
}

func BenchmarkWriteFile(b *testing.B) {
	l, s := bigWorld(b, benchSize)
	for _, known := range []bool{false, true} {
		name := map[bool]string{false: "unverified", true: "verified"}[known]
		b.Run(name, func(b *testing.B) {
			b.SetBytes(benchSize)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				from := s
				if !known {
					var err error
					if from, err = store.Open(s.Dir()); err != nil {
						b.Fatal(err)
					}
				}
				c, err := Plan(b.Context(), l, from)
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				path := filepath.Join(b.TempDir(), "b.tar")
				if _, err := WriteFile(b.Context(), path, c, form.WriteOptions{}); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				os.Remove(path)
				if !known {
					from.Close()
				}
				b.StartTimer()
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	l, s := bigWorld(b, benchSize)
	c, err := Plan(b.Context(), l, s)
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "b.tar")
	if _, err := WriteFile(b.Context(), path, c, form.WriteOptions{}); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		if err := verifyAll(context.Background(), path); err != nil {
			b.Fatal(err)
		}
	}
}
