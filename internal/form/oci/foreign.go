package oci

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// ErrNotLayout says that something is whole, as far as it was looked at, but no
// layout: an archive of something else, a web page, an empty directory.
var ErrNotLayout = errors.New("neither a bundle nor an image that botkube-mirror wrote")

// Hint is the next step for what is no mirror.
const Hint = "name a bundle (FILE.tar or a directory), a directory, a site or an image that pull or unpack wrote, a lock, docker://REFERENCE, or - for standard input"

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
		return notLayout("what it holds lies in directories: %s", Clip(strings.Join(slices.Sorted(maps.Keys(s.nested)), ", "))).
			WithHint("make a tar file of one directory's content: tar -cf FILE.tar -C DIRECTORY .")
	case s.docker:
		return notLayout("it is an image as docker save writes it").
			WithHint("save it as an OCI layout: skopeo copy --all --preserve-digests … oci-archive:FILE, or crane pull --format=oci")
	case s.strange != nil:
		return notLayout("it is a tar file of something else")
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
		return notLayout("it begins with nothing but zeros")
	case has("<!doctype html", "<html"):
		return notLayout("it is a web page, of a proxy or a login perhaps")
	case has("version https://git-lfs.github.com/"):
		return notLayout("it is what git has in the place of a file of Git LFS").WithHint("fetch the file itself: git lfs pull")
	case has("{") && bytes.Contains(text, []byte(`"schemaversion"`)) && (bytes.Contains(text, []byte(`"botkubeversion"`)) || bytes.Contains(text, []byte(`"platforms"`))):
		return notLayout("it is a lock").WithHint("%s; pull --lock makes one of a lock", Hint)
	case has("{", "["):
		return notLayout("it is a JSON document, not a tar file")
	}
	return notLayout("it is not a tar file")
}
