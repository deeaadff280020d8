package disk

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTempFileHasNoName(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir)
	f, err := TempFile()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("content"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	checkEmpty(t, dir)
}

func TestProbe(t *testing.T) {
	dir := t.TempDir()
	if err := CheckWritable(dir, ".probe-*"); err != nil {
		t.Error(err)
	}
	checkEmpty(t, dir)
	if err := CheckWritable(filepath.Join(dir, "absent"), ".probe-*"); !os.IsNotExist(err) {
		t.Errorf("a directory that is not there: %v", err)
	}
}

func checkEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("the directory has %v, %v", entries, err)
	}
}
