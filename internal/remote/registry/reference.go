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

// Name is the name of a repository in a registry: HOST[:PORT]/PATH.
type Name struct {
	host, path string
}

// Host returns the registry's host, with its port if the name has one.
func (n Name) Host() string { return n.host }

// Path returns the repository's name within the registry.
func (n Name) Path() string { return n.path }

func (n Name) String() string { return n.host + "/" + n.path }

// Join returns the name of the repository path below n.
func (n Name) Join(path string) (Name, error) { return ParseRepository(n.String() + "/" + path) }

// Reference names a manifest in a repository: HOST[:PORT]/PATH[:TAG][@DIGEST].
type Reference struct {
	name   Name
	tag    string
	digest string
}

// Repository returns the name of the repository.
func (r Reference) Repository() Name { return r.name }

// Identifier returns the digest if there is one, or else the tag; "" if there is neither.
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
	// maxName is the largest length of HOST/PATH, as in the specification.
	maxName      = 255
	digestPrefix = "sha256:"
)

// ParseReference parses HOST[:PORT]/PATH[:TAG][@DIGEST]. The host is required, also for docker.io.
// Errors are of kind [fault.Usage] and show no credentials.
func ParseReference(s string) (Reference, error) {
	r, err := parseReference(s)
	return r, badReference("reference", s, err)
}

// ParseRepository parses HOST[:PORT]/PATH. Errors are of kind [fault.Usage].
func ParseRepository(s string) (Name, error) {
	r, err := parseReference(s)
	if err == nil && r.Identifier() != "" {
		r, err = badForm("a repository must not have a tag or a digest", "write "+r.name.String())
	}
	return r.name, badReference("repository", s, err)
}

// badForm returns the error for a malformed reference, with a hint.
func badForm(reason, hint string) (Reference, error) {
	return Reference{}, fault.New(fault.Usage, "%s", reason).WithHint("%s", hint)
}

func badReference(what, s string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %q: %w", what, transfer.Printable(shown(s), maxMessage), err)
}

// shown returns a malformed reference without credentials, which the user may have written before
// the host.
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
		return badForm("the reference is empty", formHint)
	case strings.Contains(s, "://"):
		return badForm("a reference must not have a scheme", hintScheme(s))
	}
	for _, r := range s {
		if r <= ' ' || r > '~' { // not a visible character of ASCII
			return badForm("a reference must not have the character "+nameOf(r), formHint)
		}
	}
	switch host, rest, found := strings.Cut(s, "/"); {
	case strings.Contains(host, "@"):
		return badForm("a reference must not have credentials", "remove them, and log in to the registry: docker login HOST")
	case !found:
		return badForm("the repository's path is missing", formHint)
	case isHost(host):
		return parseRest(host, rest)
	case pathForm.MatchString(host) && host != "localhost":
		return badForm("the registry's host is missing", "write the host before the path, for example docker.io/"+transfer.Printable(s, maxMessage))
	}
	return badForm("the registry's host is malformed", formHint)
}

// hintScheme returns the hint for a reference with a scheme. It repeats the reference only if that
// has no credentials.
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
			return badForm(err.Error(), "write a digest as sha256: and 64 hexadecimal digits in lower case")
		}
		r.digest = digestPrefix + d.String()
	}
	path, tag, tagged := strings.Cut(rest, ":")
	r.tag = tag
	if tagged && !lock.IsTag(r.tag) {
		return badForm("the tag is malformed",
			"use at most 128 letters, digits, underscores, full stops and hyphens; begin with a letter, a digit or an underscore")
	}
	if !pathForm.MatchString(path) || len(host)+len(path) >= maxName {
		return badForm("the path is malformed",
			"use lower-case letters and digits, with / between components and . _ __ or - inside them; host and path have at most 255 characters")
	}
	r.name = Name{host, path}
	return r, nil
}

// isHost reports whether s is a host and not the first component of a path. Like docker, it takes s
// for a host if it has a dot, a port or brackets.
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

// ParseDigest parses sha256: and 64 hexadecimal digits in lower case, as in the image specification.
// The store supports no other algorithm.
func ParseDigest(s string) (lock.SHA256, error) {
	hex, ok := strings.CutPrefix(s, digestPrefix)
	d, err := lock.ParseSHA256(hex)
	if !ok || err != nil || d.String() != hex {
		return lock.SHA256{}, errors.New("the digest is malformed")
	}
	return d, nil
}

// dockerHub has the hosts of Docker Hub. Names have docker.io, docker's configuration
// index.docker.io, and the registry listens at registry-1.docker.io.
var dockerHub = map[string]bool{"docker.io": true, "index.docker.io": true, "registry-1.docker.io": true, "registry.hub.docker.com": true}

// IsDockerHub reports whether the registry is Docker Hub.
func (n Name) IsDockerHub() bool { return dockerHub[n.host] }

// wire returns the host and the path for requests. Docker Hub answers as index.docker.io, and paths of
// one component are below library/ there.
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
