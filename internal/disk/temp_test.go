package disk

import (
	"io"
	"os"
	"runtime"
	"testing"
)

func TestTempFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir)
	f, err := TempFile()
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 && runtime.GOOS != "windows" {
		t.Errorf("there are %v, %v", entries, err)
	}
	if _, err := f.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(io.NewSectionReader(f, 0, 10)); err != nil || string(data) != "x" {
		t.Errorf("read %q, %v", data, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left are %v, %v", entries, err)
	}
	t.Setenv("TMPDIR", dir+"/nowhere")
	t.Setenv("TMP", dir+"/nowhere")
	if _, err := TempFile(); err == nil {
		t.Error("a file in a directory that is not there")
	}
}
