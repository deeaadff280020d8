package form

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
	"github.com/botkube-mirror/botkube-mirror/internal/spelling"
)

// Forms are all forms that there are. Their order decides which of
// two equally likely ones is tried first.
type Forms []*Form

// StandardStream is the path of standard input or output.
const StandardStream = "-"

// SourceName names in messages a target that is read.
func SourceName(target string) string {
	if target == StandardStream {
		return "standard input"
	}
	return target
}

// RegistryPrefix begins a target in a registry, as skopeo writes it.
const RegistryPrefix = "docker://"

// Target is where an output goes.
type Target struct {
	*Output
	// Path is that of a file or directory, or "-" for standard output.
	Path string
}

func (t Target) String() string {
	if t.Path == StandardStream {
		return "standard output"
	}
	return t.Path
}

// output returns the output with a prefix, or nil.
func (all Forms) output(prefix string) *Output {
	for _, f := range all {
		for i := range f.Outputs {
			if f.Outputs[i].Prefix == prefix {
				return &f.Outputs[i]
			}
		}
	}
	return nil
}

// NameOf is what people call a mirror of a kind.
func (all Forms) NameOf(k Kind) string {
	for _, f := range all {
		if f.Kind == k {
			return f.Name
		}
	}
	return string(k)
}

// prefixes lists what a target can begin with, for messages.
func (all Forms) prefixes() string {
	prefixes := all.allPrefixes()
	last := len(prefixes) - 1
	return strings.Join(prefixes[:last], ":, ") + ": and " + prefixes[last] + ":"
}

func (all Forms) allPrefixes() (prefixes []string) {
	for _, f := range all {
		for _, o := range f.Outputs {
			prefixes = append(prefixes, o.Prefix)
		}
	}
	return prefixes
}

// otherPrefixes are what other tools and people call a form.
var otherPrefixes = map[string]string{
	"bundle": "oci-archive", "tar": "oci-archive", "layout": "oci", "docker-archive": "image", "directory": "dir", "web": "site",
}

// Prefixes of the outputs that a target without one is taken for.
const (
	prefixOfDirectory = "dir"
	prefixOfFile      = "oci-archive"
)

// looksLikePrefix takes a word; a single letter is a drive of Windows.
var looksLikePrefix = lazyregexp.New(`^[a-z][a-z-]+$`)

// inRegistry takes HOST/PATH with an optional tag or digest. hasHost tells HOST from a directory by
// a dot or a port.
var (
	inRegistry = lazyregexp.New(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:\d+)?/[a-z0-9]([a-z0-9._/-]*[a-z0-9])?(:[\w][\w.-]*)?(@sha256:[0-9a-f]+)?$`)
	hasHost    = lazyregexp.New(`^([^/]*[.:][^/]*|localhost)/`)
)

// registrySchemes begin references where other tools take them.
var registrySchemes = []string{RegistryPrefix, "oci://", "https://", "http://", "docker:/", "docker:"}

// RegistryReference returns the reference in a target that names a registry, and whether the target
// has a scheme. Otherwise it returns "". A path can look like a reference without a scheme.
func RegistryReference(target string) (reference string, scheme bool) {
	reference = target
	for _, s := range registrySchemes {
		if reference, scheme = strings.CutPrefix(target, s); scheme {
			break
		}
	}
	if scheme {
		reference = WithoutUser(reference)
	}
	isPath := !scheme && (IsFile(reference) || !hasHost.MatchString(reference))
	if strings.HasPrefix(target, RegistryPrefix) || inRegistry.MatchString(reference) && !isPath {
		return reference, scheme
	}
	return "", false
}

// WithoutUser leaves out of a reference what stands before the host: a user, and a password
// perhaps.
func WithoutUser(reference string) string {
	digest := ""
	if at := strings.LastIndex(reference, "@sha256:"); at >= 0 {
		reference, digest = reference[:at], reference[at:]
	}
	return reference[strings.LastIndexByte(reference, '@')+1:] + digest
}

// IsFile reports whether a path or URL ends in a file's name. A tag of a registry has a dot, too.
func IsFile(target string) bool {
	name := path.Base(target)
	return !strings.Contains(name, ":") && path.Ext(name) != ""
}

// compressedFiles are the endings of files that no output is.
var compressedFiles = []string{".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".zip"}

// ParseTarget reads a form and a path, FORM:PATH. A path alone is that of a
// bundle if it ends in .tar or is "-", else that of a directory.
func (all Forms) ParseTarget(s string) (Target, error) {
	prefix, path, found := strings.Cut(s, ":")
	t := Target{all.output(prefix), path}
	prefixed := found && t.Output != nil
	switch {
	case prefixed:
	case s == StandardStream || strings.HasSuffix(s, ".tar"):
		t = Target{all.output(prefixOfFile), s}
	default:
		t = Target{all.output(prefixOfDirectory), s}
	}
	reference, scheme := RegistryReference(s)
	switch {
	case reference != "" && (scheme || strings.LastIndexByte(reference, ':') > strings.LastIndexByte(reference, '/')):
		hint := "write a bundle to a file, then publish it: botkube-mirror push FILE.tar REGISTRY/PREFIX"
		if !scheme {
			hint += "\nif you mean a directory: -o dir:" + s
		}
		return Target{}, fault.New(fault.Usage, "the output %q is in a registry, but an output must be a file or a directory", WithoutUser(s)).WithHint("%s", hint)
	case found && !prefixed && looksLikePrefix.MatchString(prefix):
		hint := fmt.Sprintf("known prefixes are %s; if %[2]s is a file name, write ./%[2]s", all.prefixes(), s)
		if near := cmp.Or(otherPrefixes[prefix], spelling.Nearest(prefix, all.allPrefixes())); near != "" {
			hint = fmt.Sprintf("did you mean %s:%s? %s", near, path, hint)
		}
		return Target{}, fault.New(fault.Usage, "the output %q has an unknown prefix", s).WithHint("%s", hint)
	case t.Path == "":
		return Target{}, fault.New(fault.Usage, "the output %q has no path", s).WithHint("write %sPATH; if the path comes from a variable, check that the variable is set", s)
	case t.Path == StandardStream && !t.Streams:
		return Target{}, fault.New(fault.Usage, "the output %q: only a bundle can be written to standard output", s).WithHint("to write a bundle to standard output: -o -")
	case !prefixed && t.Prefix == prefixOfDirectory && slices.ContainsFunc(compressedFiles, func(end string) bool { return strings.HasSuffix(s, end) }):
		return Target{}, fault.New(fault.Usage, "the output %q has the extension of a compressed archive, but bundles are not compressed", s).
			WithHint("name the bundle FILE.tar: most of its files are compressed already\nif you mean a directory: -o dir:%s", s)
	}
	return t, nil
}
