package mirror

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/forms"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
)

// located is a mirror on this machine that is read.
type located struct {
	// form is what the target begins with, if anything: only an image: says more
	// than the content does.
	form string
	path string
	// name is that of a document in a layout, where one is given: a tag, or
	// sha256:DIGEST.
	name string
}

// locate reads the target of a command that reads it: PATH or FORM:PATH, and for
// what lies in an OCI layout FORM:PATH:TAG, as skopeo has it, or
// FORM:PATH@sha256:DIGEST, as oras has it. A path that is there is taken as it is.
func locate(target string) (located, error) {
	at := located{path: target}
	if form, path, found := strings.Cut(target, ":"); found && forms.All.HasPrefix(form) {
		at.form, at.path = form, path
	}
	switch at.form {
	case "oci", "oci-archive", "image":
		at.path, at.name = splitName(at.path)
	}
	if isSkopeoDir(at.path) {
		return at, fault.New(fault.Usage, "%s is what skopeo writes to dir:, which has no index of what is in it", at.path).
			WithHint("write a layout of it: skopeo copy --all --preserve-digests dir:%s oci-archive:bundle.tar", at.path)
	}
	if at.name != "" && oci.Sniff(at.path) == oci.NoLayout {
		return at, fault.New(fault.Usage, "%s is no OCI layout, in which something could be named %q", at.path, at.name).
			WithHint(sourceHint)
	}
	return at, nil
}

// isSkopeoDir reports whether a directory is one of skopeo's transport dir: (containers/image,
// directory/directory_dest.go).
func isSkopeoDir(dir string) bool {
	start, err := startOf(filepath.Join(dir, "version"))
	return err == nil && bytes.HasPrefix(start, []byte("Directory Transport Version: "))
}

// splitName takes a name off the longest path that is there.
func splitName(path string) (at, name string) {
	exists := func(path string) bool {
		_, err := os.Lstat(path)
		return err == nil
	}
	for i := len(path) - 2; i > 0 && !exists(path); i-- {
		if (path[i] == ':' || path[i] == '@') && exists(path[:i]) {
			return path[:i], path[i+1:]
		}
	}
	return path, ""
}
