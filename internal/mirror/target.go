package mirror

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/bundle"
)

// Form is what a mirror is written as. Its value is the prefix of a target.
type Form string

// The forms.
const (
	// FormDir is an agent's cache directory.
	FormDir Form = "dir"
	// FormArchive is a bundle in one tar file, or on standard output.
	FormArchive Form = "oci-archive"
	// FormLayout is a bundle as an OCI image layout directory.
	FormLayout Form = "oci"
	// FormImage is the mountable image in one tar file.
	FormImage Form = "image"
	// FormSite is a static web root.
	FormSite Form = "site"
)

// forms are those that can be written.
var forms = []Form{FormDir, FormArchive, FormLayout, FormImage, FormSite}

// standardStream is the path of standard input or output.
const standardStream = "-"

// Target is where an output goes.
type Target struct {
	Form Form
	// Path is that of a file or directory, or "-" for standard output.
	Path string
}

func (t Target) String() string {
	if t.Path == standardStream {
		return "standard output"
	}
	return t.Path
}

// isBundle reports whether the output holds upstream files as they are, and
// with them the other members of a bundle.
func (t Target) isBundle() bool { return t.Form == FormArchive || t.Form == FormLayout }

// isUnpacked reports whether archives are unpacked for the output.
func (t Target) isUnpacked() bool { return t.Form == FormDir || t.Form == FormImage }

// ParseTarget reads a form and a path, FORM:PATH. A path alone is that of a
// bundle if it ends in .tar or is "-", else that of a directory.
func ParseTarget(s string) (Target, error) {
	t := Target{Form: FormDir, Path: s}
	form, path, found := strings.Cut(s, ":")
	prefixed := found && known(form)
	if prefixed {
		t.Form, t.Path = Form(form), path
	} else if s == standardStream || strings.HasSuffix(s, ".tar") {
		t.Form = FormArchive
	}
	switch {
	case strings.HasPrefix(s, registryPrefix):
		return Target{}, fault.New(fault.Usage, "the output %q is a registry", s).
			WithHint("write a bundle, and publish it with the command push")
	case found && !prefixed && looksLikePrefix.MatchString(form):
		return Target{}, fault.New(fault.Usage, "the output %q begins with a form that is not known", s).
			WithHint("known are dir:, oci:, oci-archive:, image: and site:; if it is a name, write ./%s", s)
	case t.Path == "":
		return Target{}, fault.New(fault.Usage, "the output %q has no path", s)
	case t.Path == standardStream && t.Form != FormArchive:
		return Target{}, fault.New(fault.Usage, "the output %q: only a bundle can be written to standard output", s)
	case !prefixed && t.Form == FormDir && hasSuffix(s, ".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".zip"):
		return Target{}, fault.New(fault.Usage, "the output %q looks like a compressed archive, which a bundle is not", s).
			WithHint("name it FILE.tar: most of what is in it is compressed already; or write dir:%s if a directory is meant", s)
	}
	return t, nil
}

// located is a mirror on this machine that is read.
type located struct {
	// form is what the target begins with, if anything: only an image: says more
	// than the content does.
	form Form
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
	if form, path, found := strings.Cut(target, ":"); found && known(form) {
		at.form, at.path = Form(form), path
	}
	switch at.form {
	case FormLayout, FormArchive, FormImage:
		at.path, at.name = splitName(at.path)
	}
	if isSkopeoDir(at.path) {
		return at, fault.New(fault.Usage, "%s is what skopeo writes to dir:, which has no index of what is in it", at.path).
			WithHint("write a layout of it: skopeo copy --all --preserve-digests dir:%s oci-archive:bundle.tar", at.path)
	}
	if at.name != "" && bundle.Sniff(at.path) == bundle.NoForm {
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

// looksLikePrefix takes a word; a single letter is a drive of Windows.
var looksLikePrefix = regexp.MustCompile(`^[a-z][a-z-]+$`)

func known(form string) bool {
	for _, f := range forms {
		if string(f) == form {
			return true
		}
	}
	return false
}

func hasSuffix(s string, suffixes ...string) bool {
	for _, suffix := range suffixes {
		if strings.HasSuffix(s, suffix) {
			return true
		}
	}
	return false
}
