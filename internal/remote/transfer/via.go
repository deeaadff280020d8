package transfer

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// Via has the rules of --via: which URLs are requested from another server, such as a repository
// manager. Only requests follow the rules. Locks, outputs and the store have the original URLs. A nil Via has
// no rules.
type Via struct {
	rules []*viaRule
	// web and registries say whether a web server's or a registry's URL was looked up.
	web, registries atomic.Bool
}

// viaRule replaces the prefix from of a URL by to.
type viaRule struct {
	from, to *url.URL
	used     atomic.Bool
}

// String returns the rule as it is written, without user information.
func (r *viaRule) String() string {
	return agent.Redact(r.from.String()) + "=" + agent.Redact(r.to.String())
}

// ParseVia reads rules of the form PREFIX=PREFIX.
func ParseVia(given []string) (*Via, error) {
	if len(given) == 0 {
		return nil, nil
	}
	v := &Via{}
	for _, text := range given {
		r, err := parseVia(text)
		if err != nil {
			return nil, err
		}
		for _, other := range v.rules {
			if other.from.String() == r.from.String() {
				return nil, fault.New(fault.Usage, "--via has two rules for %s", r.from).WithHint("leave one of them out: %s or %s", other, r)
			}
		}
		v.rules = append(v.rules, r)
	}
	slices.SortStableFunc(v.rules, func(a, b *viaRule) int { return cmp.Compare(len(b.from.String()), len(a.from.String())) })
	return v, nil
}

const viaExample = "https://github.com/=https://nexus.example.com/repository/github/"

func parseVia(text string) (*viaRule, error) {
	refuse := func(reason, hint string, args ...any) (*viaRule, error) {
		shown := Printable(text, maxHost)
		if strings.Contains(text, "@") || text != "" && !strings.Contains(text, "://") {
			shown = "…" // the text before @, or a piece that a comma cut off, may be a password
		}
		return nil, fault.New(fault.Usage, "--via %s: %s", shown, reason).WithHint(hint, args...)
	}
	left, right, found := strings.Cut(text, "=")
	if !found {
		return refuse("the rule has no =", "give two prefixes: --via %s", viaExample)
	}
	from, err := viaSide(left)
	if err != nil {
		return refuse("the left side "+err.Error(), "write a rule like --via %s", viaExample)
	}
	to, err := viaSide(right)
	if err != nil {
		if errors.Is(err, errNotURL) {
			text = left + "=…" // a comma in a password ends the value of a variable
		}
		return refuse("the right side "+err.Error(), "write a rule like --via %s", viaExample)
	}
	switch {
	case from.User != nil:
		return refuse("the left side has a user", "remove the user and the password; put credentials for the right side into .netrc")
	case (from.Scheme == "docker") != (to.Scheme == "docker"):
		return refuse("only one side is a registry", "write docker:// on both sides for images, or https:// on both sides for files")
	case to.Scheme == "docker" && to.User != nil:
		return refuse("the right side has a user", "remove the user and the password, and log in: docker login %s", to.Host)
	case to.Scheme == "http" && to.User != nil: // requests refuse that, redirects would not
		return refuse("credentials for the right side would go over plain http, unencrypted", "write https:// on the right side, or remove the user and the password")
	case *from == *to:
		return refuse("both sides are the same", "remove the rule")
	}
	return &viaRule{from: from, to: to}, nil
}

var errNotURL = errors.New("is not a URL")

// viaSide reads one side of a rule. Its path has no slash at the end.
func viaSide(raw string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	switch {
	case err != nil || u.Host == "":
		return nil, errNotURL
	case u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "docker":
		return nil, errors.New("does not begin with https://, http:// or docker://")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("has a ? or a #")
	case leaves(u.Path):
		return nil, errors.New("has . or .. in its path")
	case strings.Contains(u.Path, "://") && strings.ContainsAny(u.Path, "=@"): // its password would be shown as a path
		return nil, errors.New("contains another rule: give each rule its own --via; in the environment, put commas or line breaks between rules")
	}
	u.Host = plainHost(u)
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u, nil
}

// plainHost returns the host of a URL in lower case, without the default port.
func plainHost(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch port := u.Port(); {
	case u.Scheme == "https" && port == "443", u.Scheme == "http" && port == "80":
		return strings.TrimSuffix(host, ":"+port)
	}
	return host
}

// leaves reports whether a path may lead out of its first directory. No rule matches such a URL: it
// could request other files of the right side's server, with the user's credentials.
//
// If one server is behind another, escapes may be decoded more than once. Servers in Java ignore
// what follows a semicolon.
func leaves(p string) bool {
	for range 4 {
		for segment := range strings.FieldsFuncSeq(p, func(r rune) bool { return r == '/' || r == '\\' }) {
			if segment, _, _ = strings.Cut(segment, ";"); segment == "." || segment == ".." {
				return true
			}
		}
		p = unescaping.Replace(p)
	}
	return false
}

// unescaping decodes the escapes that could hide a "..", once. It leaves others, which may be
// malformed.
var unescaping = strings.NewReplacer("%25", "%", "%2e", ".", "%2E", ".", "%2f", "/", "%2F", "/", "%5c", `\`, "%5C", `\`, "%3b", ";", "%3B", ";")

// below returns the rest of a URL's path below a rule's side, which begins with a slash or is empty.
func below(side, u *url.URL) (rest string, ok bool) {
	if u.Scheme != side.Scheme || plainHost(u) != side.Host || leaves(u.Path) {
		return "", false
	}
	rest, ok = strings.CutPrefix(u.EscapedPath(), side.EscapedPath())
	return rest, ok && (rest == "" || rest[0] == '/')
}

// rule returns the longest rule for a URL, by whole components of paths, and the rest of the path; or
// nil. V may be nil.
func (v *Via) rule(u *url.URL) (r *viaRule, rest string) {
	if v == nil {
		return nil, ""
	}
	for _, r := range v.rules {
		if rest, ok := below(r.from, u); ok {
			return r, rest
		}
	}
	return nil, ""
}

// URL returns the URL to request: the one that a rule puts in the place of u, or u itself. User
// information of u is for its own host, so that of the right side takes its place.
func (v *Via) URL(u *url.URL) *url.URL {
	if v != nil {
		v.kind(u).Store(true)
	}
	r, rest := v.rule(u)
	if r == nil {
		return u
	}
	r.used.Store(true)
	return at(r.to, rest, u)
}

// at returns a URL with its prefix replaced by a side. rest is the rest of the path.
func at(side *url.URL, rest string, u *url.URL) *url.URL {
	moved := *u
	moved.Scheme, moved.Host, moved.User = side.Scheme, side.Host, side.User
	moved.RawPath = side.EscapedPath() + rest
	moved.Path, _ = url.PathUnescape(moved.RawPath) // cannot fail: both parts are escaped
	return &moved
}

// Canonical is the reverse of [Via.URL], for documents into which a proxy writes its own URLs.
func (v *Via) Canonical(u *url.URL) *url.URL {
	if v == nil {
		return u
	}
	var nearest *viaRule
	for _, r := range v.rules {
		if _, ok := below(r.to, u); ok && (nearest == nil || len(r.to.Path) > len(nearest.to.Path)) {
			nearest = r
		}
	}
	if nearest == nil {
		return u
	}
	rest, _ := below(nearest.to, u)
	return at(nearest.from, rest, u)
}

func (v *Via) kind(u *url.URL) *atomic.Bool {
	if u.Scheme == "docker" {
		return &v.registries
	}
	return &v.web
}

// redirect is [Via.URL] for the target of a redirect. It leaves a URL below a right side as it is.
func (v *Via) redirect(u *url.URL) *url.URL {
	if v == nil || slices.ContainsFunc(v.rules, func(r *viaRule) bool { _, ok := below(r.to, u); return ok }) {
		return u
	}
	return v.URL(u)
}

// Instead returns the URL that is requested instead, without secrets, or "" if no rule matches.
func (v *Via) Instead(u *url.URL) string {
	if asked := v.URL(u); asked != u {
		return agent.Redact(asked.String())
	}
	return ""
}

// Through returns a hash of the server's URL that is requested instead, or "" if no rule matches. An
// entity tag of one server means nothing to another, so records of the store have this.
func (v *Via) Through(u *url.URL) string {
	instead := v.Instead(u)
	if instead == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(instead))
	return hex.EncodeToString(sum[:8])
}

// Unused returns the rules that matched no URL. It leaves out rules for registries if no registry was
// asked, and rules for web servers if none was.
func (v *Via) Unused() (rules []string) {
	if v == nil {
		return nil
	}
	for _, r := range v.rules {
		if !r.used.Load() && v.kind(r.from).Load() {
			rules = append(rules, r.String())
		}
	}
	slices.Sort(rules)
	return rules
}

// Hint returns the next step after the server of a rule has failed, or "" if no rule matches the URL.
func (v *Via) Hint(u *url.URL) string {
	r, _ := v.rule(u)
	if r == nil {
		return ""
	}
	return fmt.Sprintf("check the rule --via %s: its right side must serve the files of its left side", r)
}
