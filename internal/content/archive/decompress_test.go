package archive_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/content/archive"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// brokenWriter fails.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestDecompress(t *testing.T) {
	text := []byte(strings.Repeat("text ", 10_000))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, format := range []string{"gz", "zst", "xz", "bz2"} {
		packed := compress(t, format, text)
		var out bytes.Buffer
		if err := archive.Decompress(t.Context(), &out, bytes.NewReader(packed), format, int64(len(text))); err != nil || !bytes.Equal(out.Bytes(), text) {
			t.Errorf("%s: %d bytes, %v", format, out.Len(), err)
		}
		for name, test := range map[string]struct {
			data []byte
			most int64
		}{
			"too much":  {packed, int64(len(text)) - 1},
			"truncated": {packed[:len(packed)-2], 1 << 20},
			"damaged":   {append([]byte("xxxxxxxxxxxxxxxxxxxx"), packed...), 1 << 20},
		} {
			if err := archive.Decompress(t.Context(), new(bytes.Buffer), bytes.NewReader(test.data), format, test.most); fault.KindOf(err) != fault.Integrity {
				t.Errorf("%s, %s: %v", format, name, err)
			}
		}
		if err := archive.Decompress(t.Context(), brokenWriter{}, bytes.NewReader(packed), format, 1<<20); err == nil || fault.KindOf(err) == fault.Integrity {
			t.Errorf("%s, a full disk: %v", format, err)
		}
		if err := archive.Decompress(cancelled, new(bytes.Buffer), bytes.NewReader(packed), format, 1<<20); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, cancelled: %v", format, err)
		}
	}
	if err := archive.Decompress(t.Context(), new(bytes.Buffer), bytes.NewReader(nil), "zip", 1); err == nil {
		t.Error("zip")
	}
}
