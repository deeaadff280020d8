package registry

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// Name is a repository of a registry: HOST[:PORT]/PATH.
type Name struct {
	host, path string
}

// Host returns the registry, with its port if one was given.
func (n Name) Host() string { return n.host }

// Path returns the repository's name within the registry.
func (n Name) Path() string { return n.path }

func (n Name) String() string { return n.host + "/" + n.path }

// Join returns the repository called path below n.
func (n Name) Join(path string) (Name, error) { return ParseRepository(n.String() + "/" + path) }

// Reference is a manifest of a repository: HOST[:PORT]/PATH[:TAG][@DIGEST].
type Reference struct {
	name   Name
	tag    string
	digest string
}

func (r Reference) Repository() Name { return r.name }

// Identifier returns what a registry is asked for: the digest if there is one,
// else the tag, else "", which is for the caller to fill.
func (r Reference) Identifier() string { return cmp.Or(r.digest, r.tag) }

// Tag returns the tag, or "" if there is none.
func (r Reference) Tag() string { return r.tag }

func (r Reference) String() string {
	s := r.name.String()
	if r.tag != "" {
		s += ":" + r.tag
	}
	if r.digest != "" {
		s += "@" + r.digest
	}
	return s
}

// The grammar of the distribution specification ("Pulling manifests").
var (
	pathForm = lazyregexp.New(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	hostForm = lazyregexp.New(`^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*$`)
)

const (
	// maxName bounds a repository with its registry, as the specification has it.
	maxName      = 255
	digestPrefix = "sha256:"
)

// ParseReference reads HOST[:PORT]/PATH[:TAG|@DIGEST]. Where both a tag and a
// digest are given, the digest counts. The host must be there: nothing stands
// for docker.io unless it is written.
func ParseReference(s string) (Reference, error) {
	r, err := parseReference(s)
	return r, badReference("reference", s, err)
}

// ParseRepository reads HOST[:PORT]/PATH.
func ParseRepository(s string) (Name, error) {
	r, err := parseReference(s)
	if err == nil && r.Identifier() != "" {
		r, err = badForm("a repository has no tag and no digest", "leave out what follows "+r.name.String())
	}
	return r.name, badReference("repository", s, err)
}

// badForm says what is wrong with a reference, and what to write instead.
func badForm(reason, hint string) (Reference, error) {
	return Reference{}, fault.New(fault.Usage, "%s", reason).WithHint("%s", hint)
}

func badReference(what, s string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %q: %w", what, transfer.Printable(shown(s), maxMessage), err)
}

// shown returns what of a malformed reference may be repeated: somebody may
// have put a user and a password before the host.
func shown(s string) string {
	if strings.Contains(s, "://") {
		return agent.Redact(s)
	}
	rest := strings.TrimSpace(s)
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		if before := rest[:i]; strings.Contains(before, ":") && !wellFormed(before) {
			return "…" + rest[i:]
		}
	}
	return s
}

func wellFormed(s string) bool {
	_, err := parseReference(s)
	return err == nil
}

const formHint = "write HOST[:PORT]/PATH[:TAG|@DIGEST], for example registry.example:5000/mirror/botkube:v1.14.0"

func parseReference(s string) (Reference, error) {
	switch {
	case s == "":
		return badForm("it is empty", formHint)
	case strings.Contains(s, "://"):
		return badForm("a reference has no scheme", hintScheme(s))
	}
	for _, r := range s {
		if r <= ' ' || r > '~' { // none that is seen in ASCII
			return badForm("no reference has the character "+nameOf(r), formHint)
		}
	}
	switch host, rest, found := strings.Cut(s, "/"); {
	case strings.Contains(host, "@"):
		return badForm("credentials do not belong in a reference", "log in to the registry instead, as with docker login")
	case !found:
		return badForm("it names no repository", formHint)
	case isHost(host):
		return parseRest(host, rest)
	case pathForm.MatchString(host) && host != "localhost":
		return badForm("it names no registry", "write the registry's host before it, for example docker.io/"+transfer.Printable(s, maxMessage))
	}
	return badForm("the registry's host is malformed", formHint)
}

// hintScheme says how to write a reference that has a scheme, unless it may have
// credentials, too.
func hintScheme(s string) string {
	scheme, rest, _ := strings.Cut(s, "://")
	hint := "leave out the scheme"
	if !strings.Contains(rest, "@") && wellFormed(strings.TrimSuffix(rest, "/")) {
		hint = "write " + strings.TrimSuffix(rest, "/")
	}
	if scheme == "http" {
		hint += ", with --plain-http"
	}
	return hint
}

func nameOf(r rune) string {
	switch r {
	case ' ':
		return "U+0020 (a space)"
	case '\n', '\r':
		return fmt.Sprintf("%U (the end of a line)", r)
	}
	return fmt.Sprintf("%U", r)
}

func parseRest(host, rest string) (Reference, error) {
	var r Reference
	rest, digest, pinned := strings.Cut(rest, "@")
	if pinned {
		d, err := ParseDigest(digest)
		if err != nil {
			return badForm(err.Error(), "a digest is sha256: and 64 hexadecimal digits")
		}
		r.digest = digestPrefix + d.String()
	}
	path, tag, tagged := strings.Cut(rest, ":")
	r.tag = tag
	if tagged && !lock.IsTag(r.tag) {
		return badForm("the tag is malformed",
			"a tag has at most 128 letters, digits, underscores, full stops and hyphens, and does not begin with the latter two")
	}
	if !pathForm.MatchString(path) || len(host)+len(path) >= maxName {
		return badForm("the path is malformed",
			"a path has lower-case letters and digits, in components separated by slashes, and within those . _ __ or - between them; with the host it has at most 255 characters")
	}
	r.name = Name{host, path}
	return r, nil
}

// isHost reports whether s names a registry rather than the first component of
// a path: by a dot, a port or brackets, as docker tells them apart.
func isHost(s string) bool {
	host, port, ported := s, "", false
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		host, port, ported = s[:i], s[i+1:], true
	}
	if n, err := strconv.ParseUint(port, 10, 16); ported && (err != nil || n == 0) {
		return false
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, closed := strings.CutSuffix(inner, "]")
		ip, err := netip.ParseAddr(inner)
		return closed && err == nil && ip.Is6() && ip.Zone() == ""
	}
	return hostForm.MatchString(host) && (ported || host == "localhost" || strings.Contains(host, "."))
}

// ParseDigest reads sha256: and 64 hexadecimal digits, lower case as the image
// specification has them. It is the only algorithm of the store.
func ParseDigest(s string) (lock.SHA256, error) {
	hex, ok := strings.CutPrefix(s, digestPrefix)
	d, err := lock.ParseSHA256(hex)
	if !ok || err != nil || d.String() != hex {
		return lock.SHA256{}, errors.New("the digest is malformed")
	}
	return d, nil
}

// dockerHub has the hosts of Docker Hub: it is called docker.io, keeps
// credentials as index.docker.io, and listens at registry-1.docker.io.
var dockerHub = map[string]bool{"docker.io": true, "index.docker.io": true, "registry-1.docker.io": true, "registry.hub.docker.com": true}

// IsDockerHub reports whether the registry is Docker Hub.
func (n Name) IsDockerHub() bool { return dockerHub[n.host] }

// wire returns the host and the path as they go over the wire: Docker Hub answers as
// index.docker.io, and has names of one component below library/.
func (n Name) wire() (host, path string) {
	host, path = n.host, n.path
	if host == "docker.io" {
		host = "index.docker.io"
	}
	if host == "index.docker.io" && !strings.Contains(path, "/") {
		path = "library/" + path
	}
	return host, path
}
