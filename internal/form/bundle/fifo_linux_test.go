package bundle

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

func TestPipeInLayout(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, oci.FileName), []byte(oci.FileContent))
	if err := syscall.Mkfifo(filepath.Join(dir, oci.IndexName), 0o644); err != nil {
		t.Skip(err)
	}
	if !oci.MayBeLayout(dir) {
		t.Error("it is not taken for a layout")
	}
	_, err := openPath(t.Context(), dir)
	wantError(t, err, fault.Integrity, "index.json: it is ", "not a regular file", "copy ")
}
