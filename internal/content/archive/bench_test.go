package archive_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/archive"
)

// likeABinary returns something that compresses about as well as a Go binary.
func likeABinary(size int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	words := make([][]byte, 4096)
	for i := range words {
		words[i] = make([]byte, 2+random.IntN(12))
		for j := range words[i] {
			words[i][j] = byte(random.Uint32())
		}
	}
	var out bytes.Buffer
	for out.Len() < size {
		out.Write(words[min(random.IntN(len(words)), random.IntN(len(words)))])
	}
	return out.Bytes()[:size]
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func (discard) Reset() error { return nil }

func BenchmarkExtract(b *testing.B) {
	body := string(likeABinary(45 << 20))
	for _, format := range []string{"tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst", "zip"} {
		packed := pack(b, format, file("executor_x_linux_amd64", body))
		b.Run(fmt.Sprintf("%s from %d MB", format, len(packed)/1e6), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				_, err := archive.Extract(context.Background(), bytes.NewReader(packed), format, agent.Member{First: true}, archive.Limits{}, discard{})
				check(b, err)
			}
		})
	}
}

// BenchmarkExtractSmall has archives as there are thousands of.
func BenchmarkExtractSmall(b *testing.B) {
	body := string(likeABinary(200 << 10))
	for _, format := range []string{"tar.gz", "tar.xz", "tar.zst", "zip"} {
		packed := pack(b, format, file("executor_x_linux_amd64", body))
		b.Run(format, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				_, err := archive.Extract(context.Background(), bytes.NewReader(packed), format, agent.Member{First: true}, archive.Limits{}, discard{})
				check(b, err)
			}
		})
	}
}
