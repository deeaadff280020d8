package disk

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestSpaceAt(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" && runtime.GOOS != "windows" {
		t.Skip("nobody knows how to ask this system")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	want, ok := SpaceAt(dir)
	if !ok || want.FileSystem == "" || want.Free <= 0 {
		t.Fatalf("of a directory: %+v, %t", want, ok)
	}
	for what, path := range map[string]string{"of a file": file, "of what is not there yet": filepath.Join(dir, "a", "b")} {
		got, ok := SpaceAt(path)
		if !ok || got.FileSystem != want.FileSystem || got.Free <= 0 {
			t.Errorf("%s: %+v, %t; its directory has %+v", what, got, ok, want)
		}
	}
}

func TestBytesOf(t *testing.T) {
	for _, c := range []struct {
		blocks, size uint64
		want         int64
	}{
		{0, 4096, 0},
		{3, 4096, 12288},
		{1 << 51, 4096, math.MaxInt64},
		{math.MaxUint64, 4096, math.MaxInt64},
	} {
		if got := bytesOf(c.blocks, c.size); got != c.want {
			t.Errorf("bytesOf(%d, %d) = %d, not %d", c.blocks, c.size, got, c.want)
		}
	}
}
