package oci

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// ErrNotLayout is the error of something that is not damaged, but not a layout: another archive, a
// web page, an empty directory.
var ErrNotLayout = errors.New("neither a bundle nor an image that botkube-mirror wrote")

// Hint is the hint for a target that is not a mirror.
const Hint = "use one of: a bundle (FILE.tar or a directory); a directory, a site or an image that pull or unpack wrote; a lock; docker://REFERENCE; - for standard input"

// notLayout is an [ErrNotLayout] that says what there is instead.
func notLayout(format string, args ...any) *fault.Error {
	return fault.New(fault.Usage, "%w: "+format, append([]any{ErrNotLayout}, args...)...).WithHint(Hint)
}

// otherTar says what a tar file is that has no layout, whatever else is in it.
func (s *scanner) otherTar() error {
	switch {
	case s.out.isLayout():
		return s.strange
	case len(s.nested) > 0:
		return notLayout("its files are inside directories: %s", Clip(strings.Join(slices.Sorted(maps.Keys(s.nested)), ", "))).
			WithHint("make a tar file of the content of one directory: tar -cf FILE.tar -C DIRECTORY .")
	case s.docker:
		return notLayout("it is an image in the format of docker save").
			WithHint("save the image as an OCI layout: skopeo copy --all --preserve-digests docker://IMAGE oci-archive:FILE.tar, or crane pull --format=oci IMAGE DIRECTORY")
	case s.strange != nil:
		return notLayout("it is a tar file with other content")
	}
	return nil
}

// notTar says what a file is that is no tar file, by its start.
func notTar(start []byte) error {
	text := bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(start, []byte("\ufeff")), " \t\r\n"))
	has := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return bytes.HasPrefix(text, []byte(p)) })
	}
	packed := compression(start)
	switch {
	case packed != nil:
		return notLayout("it is compressed with %s", packed.name).WithHint("unpack it first with %s", packed.unpacker)
	case allZero(start):
		return notLayout("it starts with zeros only")
	case has("<!doctype html", "<html"):
		return notLayout("it is a web page, perhaps from a proxy or a login")
	case has("version https://git-lfs.github.com/"):
		return notLayout("it is a Git LFS pointer, not the file itself").WithHint("download the file: git lfs pull")
	case has("{") && bytes.Contains(text, []byte(`"schemaversion"`)) && (bytes.Contains(text, []byte(`"botkubeversion"`)) || bytes.Contains(text, []byte(`"platforms"`))):
		return notLayout("it is a lock").WithHint("%s\nto make a bundle from the lock: botkube-mirror pull --lock LOCK -o bundle.tar", Hint)
	case has("{", "["):
		return notLayout("it is a JSON document, not a tar file")
	}
	return notLayout("it is not a tar file")
}
