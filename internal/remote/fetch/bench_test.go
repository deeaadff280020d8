package fetch_test

import (
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
)

// BenchmarkParallel downloads twelve files at once over the loopback
// interface, to disk.
func BenchmarkParallel(b *testing.B) {
	const files, size = 12, 32 << 20
	u := newUpstream(b, random(size))
	b.SetBytes(files * size)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		f := fixed(b)
		b.StartTimer()
		var group errgroup.Group
		for i := range files {
			group.Go(func() error {
				_, err := f.client.Blob(b.Context(), fetch.Request{URL: fmt.Sprintf("%s/%d", u.URL, i)}, fetch.Observer{})
				return err
			})
		}
		check(b, group.Wait())
	}
}

// BenchmarkReuse asks for what the store has.
func BenchmarkReuse(b *testing.B) {
	data := random(1 << 20)
	f := fixed(b)
	_, err := f.store.Put(data)
	check(b, err)
	req := fetch.Request{URL: "https://example.com/x", Checksums: sha256Of(data)}
	for b.Loop() {
		_, err := f.client.Blob(b.Context(), req, fetch.Observer{})
		check(b, err)
	}
}
