package agent

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/go-getter/v2"

	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

// Nowhere is a host that cannot exist, as the top-level domain invalid has none (RFC 6761, 6.4). In
// values for a mirror on a volume, the URLs of indexes begin with it, because there must be one with
// http (pkg/plugin/manager.go, fetchIndex).
const Nowhere = "http://mirror.invalid"

// ArchiveFormats are go-getter's decompressors: the extensions of files that it unpacks, and the
// values of its parameter archive (go-getter decompress.go, LimitedDecompressors).
var ArchiveFormats = []string{
	"bz2", "gz", "tar", "tar.bz2", "tar.gz", "tar.xz", "tar.zst",
	"tbz2", "tgz", "txz", "tzst", "xz", "zip", "zst",
}

// Location is a URL of a plugin or a dependency, taken apart as the agent's
// go-getter does (go-getter client.go, Client.Get).
type Location struct {
	// Normalized is the whole URL as URLs are compared: parameters in order, no fragment.
	Normalized string
	// URL is what is requested: with the forced getter of GETTER::URL, without
	// the sub-directory and go-getter's own parameters.
	URL string
	// Format is one of [ArchiveFormats], or "" for a file that is used as it is.
	Format string
	// IsGit says that the URL names a git repository. A mirror makes an archive of its files,
	// with the Format [GitArchiveFormat].
	IsGit bool
	// Subdir is the part of the archive that counts, or "". It may hold the
	// patterns of [path.Match].
	Subdir string
	// Checksum is what the parameter checksum gives, or nil.
	Checksum *Checksum
	// ChecksumFile is the URL of the parameter checksum=file:URL, or "".
	ChecksumFile string
	// autoDetect says that a plugin's binary may have any name: see [Location.PluginMember].
	autoDetect bool
}

// GitArchiveFormat is the format of an archive that stands for a repository.
const GitArchiveFormat = "tar"

// forcedGetter is go-getter's forcedRegexp (get.go).
var forcedGetter = lazyregexp.New(`^([A-Za-z0-9]+)::(.+)$`)

// SplitGetter parts GETTER::URL. Any other :: belongs to the URL, as in the address [::1].
func SplitGetter(raw string) (getter, rest string) {
	if m := forcedGetter.FindStringSubmatch(raw); m != nil {
		return m[1], m[2]
	}
	return "", raw
}

// ParseLocation reads an absolute URL of an index as the agent would: see [ResolveLocation].
func ParseLocation(raw string) (Location, error) {
	whole, err := url.Parse(raw)
	if err != nil {
		return Location{}, fmt.Errorf("URL %q cannot be read: %w", Redact(raw), errReason(raw, err))
	}
	var l Location
	// The agent adds parameters, which normalises the query (pkg/plugin/downloader.go,
	// downloadBinary).
	whole.RawQuery = whole.Query().Encode()
	whole.Fragment, whole.RawFragment = "", ""
	l.Normalized = whole.String()
	forced, rest := SplitGetter(l.Normalized)
	if forced != "" {
		forced += "::"
	}
	rest, subdir := getter.SourceDirSubdir(rest)
	if l.Subdir, err = cleanSubdir(subdir); err != nil {
		return Location{}, fmt.Errorf("URL %q: %w", Redact(raw), err)
	}
	u, err := url.Parse(rest)
	if err != nil {
		return Location{}, fmt.Errorf("URL %q cannot be read: %w", Redact(raw), errReason(raw, err))
	}
	q := u.Query()
	asArchive := q.Has("archive")
	l.Format = archiveFormat(u.Path, q.Get("archive"))
	if err := l.setChecksum(q.Get("checksum")); err != nil {
		return Location{}, fmt.Errorf("URL %q: %w", Redact(raw), err)
	}
	for _, own := range []string{"archive", "checksum", "filename"} {
		q.Del(own)
	}
	u.RawQuery = q.Encode()
	l.URL = forced + u.String()
	l.autoDetect = formatOf(whole.Path) != ""
	if forced != "git::" {
		return l, nil
	}
	return l, l.clone(asArchive)
}

// clone refuses what the mirror does not support of a git repository: a file of a clone that is
// unpacked (get_git.go, GetFile). A checksum is an error in go-getter, too (client.go,
// Client.Get).
func (l *Location) clone(asArchive bool) error {
	switch {
	case l.Format != "" || asArchive:
		return fmt.Errorf("URL %q: archives in git repositories are not supported", Redact(l.Normalized))
	case l.Checksum != nil || l.ChecksumFile != "":
		return fmt.Errorf("URL %q: a git repository cannot have a checksum", Redact(l.Normalized))
	}
	l.IsGit, l.Format = true, GitArchiveFormat
	return nil
}

func (l *Location) setChecksum(value string) error {
	if value == "" {
		return nil
	}
	if file, ok := strings.CutPrefix(value, "file:"); ok {
		if file == "" {
			return errors.New("checksum=file: has no file name")
		}
		l.ChecksumFile = file
		return nil
	}
	c, err := ParseChecksum(value)
	if err != nil {
		return err
	}
	l.Checksum = &c
	return nil
}

// archiveFormat returns the format as which go-getter unpacks, or "". The parameter archive
// decides if there is one: anything but a format means none. Else the extension decides.
func archiveFormat(urlPath, parameter string) string {
	if parameter == "" {
		return formatOf(urlPath)
	}
	if slices.Contains(ArchiveFormats, parameter) {
		return parameter
	}
	return ""
}

// formatOf returns the longest extension of [ArchiveFormats] that a path has.
func formatOf(urlPath string) string {
	longest := ""
	for _, format := range ArchiveFormats {
		if strings.HasSuffix(urlPath, "."+format) && len(format) > len(longest) {
			longest = format
		}
	}
	return longest
}

// cleanSubdir refuses one that leads out of the archive, as go-getter does (client.go,
// containsDotDot).
func cleanSubdir(subdir string) (string, error) {
	clean := path.Clean(subdir)
	if slices.Contains(strings.FieldsFunc(clean, func(r rune) bool { return r == '/' || r == '\\' }), "..") {
		return "", fmt.Errorf("sub-directory %q is outside the archive", subdir)
	}
	if clean = strings.TrimPrefix(clean, "/"); clean == "." {
		clean = ""
	}
	if _, err := path.Match(clean, ""); err != nil {
		return "", fmt.Errorf("sub-directory %q is not a valid pattern", subdir)
	}
	return clean, nil
}

// Member says which file of an archive the agent uses.
type Member struct {
	// Dir is the directory in the archive, or ""; it may be a pattern.
	Dir string
	// Name is the exact file name that is looked for, or "".
	Name string
	// First takes the first file by name if Name is empty or absent: one without a leading dot,
	// and with no extension but .exe or .sh.
	First bool
}

// PluginMember returns which file of the archive becomes the plugin's binary. The agent detects
// it (pkg/plugin/downloader.go, getFirstFileInDirectory) if the URL as a whole ends in an
// archive's extension. Behind a sub-directory or with archive=FORMAT it wants the name that it
// writes, and fails without. The mirror falls back to detection: nothing else can be meant.
func (l Location) PluginMember(binary string) Member {
	m := Member{Dir: l.Subdir, First: true}
	if !l.autoDetect {
		m.Name = path.Base(binary)
	}
	return m
}

// DependencyMember returns which file of the archive becomes the dependency.
func (l Location) DependencyMember(name string) Member {
	return Member{Dir: l.Subdir, Name: name}
}

// ResolveLocation makes a URL of an index absolute, from where the index lies. What go-getter's
// detectors take for a repository or a bucket (github.com/…) stays as it is.
func ResolveLocation(index *url.URL, raw string) (string, error) {
	if forced, _ := SplitGetter(raw); forced != "" || detected(raw) {
		return raw, nil
	}
	source, subdir := getter.SourceDirSubdir(raw)
	ref, err := url.Parse(source)
	if err != nil {
		return "", fmt.Errorf("URL %q cannot be read: %w", Redact(raw), errReason(raw, err))
	}
	if ref.IsAbs() {
		return raw, nil
	}
	abs, query, hasQuery := strings.Cut(index.ResolveReference(ref).String(), "?")
	if subdir != "" {
		abs += "//" + subdir
	}
	if hasQuery {
		abs += "?" + query
	}
	return abs, nil
}

// detected reports whether a detector of go-getter's, besides that for files, takes a URL
// without a scheme (go-getter detect.go, Detectors).
func detected(raw string) bool {
	prefixes := []string{"github.com/", "gitlab.com/", "bitbucket.org/", "git@", "www.googleapis.com/storage/"}
	host, _, _ := strings.Cut(raw, "/")
	return strings.HasSuffix(host, ".amazonaws.com") || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(raw, p) })
}

// secretParameters carry credentials: go-getter's own (url.go, redactedParams), those of signed
// URLs, and usual names of tokens.
var secretParameters = lazyregexp.New(`(?i)([?&](?:sshkey|aws_access_key_id|aws_access_key_secret|aws_access_token|awsaccesskeyid|x-(?:amz|goog)-(?:signature|credential|security-token)|(?:access_|auth_|private_)?token|sig|signature|password|passwd|secret|client_secret|api_?key)=)[^&#]*`)

// Redact returns a URL without user information and without credentials in parameters, also
// those of URLs in parameters.
func Redact(raw string) string {
	scheme, rest, found := strings.Cut(raw, "://")
	if found {
		raw = scheme + "://" + rest[credentialsEnd(rest):]
	}
	raw = secretParameters.ReplaceAllString(raw, "${1}redacted")
	before, query, found := strings.Cut(raw, "?")
	if !found {
		return raw
	}
	parameters := strings.Split(query, "&")
	for i, p := range parameters {
		parameters[i] = redactNested(p)
	}
	return before + "?" + strings.Join(parameters, "&")
}

var urls = lazyregexp.New(`[^\s:]+://\S+`)

// RedactURLs redacts every URL in a text.
func RedactURLs(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	return urls.ReplaceAllStringFunc(text, func(raw string) string {
		// What ends a URL in a sentence is no secret's end.
		bare := strings.TrimRight(raw, `:;,.)"'`)
		return Redact(bare) + raw[len(bare):]
	})
}

// credentialsEnd returns the end of the user information in a URL without its scheme. A slash in
// a password, unescaped, ends what looks like the host too early, at an invalid port.
func credentialsEnd(rest string) int {
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		return i + 1
	}
	_, port, _ := strings.Cut(authority[strings.LastIndexByte(authority, ']')+1:], ":")
	if strings.Trim(port, "0123456789") != "" {
		return strings.LastIndexByte(rest, '@') + 1
	}
	return 0
}

// redactNested redacts a URL that is the value of a parameter: checksum=file:URL.
func redactNested(parameter string) string {
	name, value, _ := strings.Cut(parameter, "=")
	plain, err := url.QueryUnescape(value)
	if err != nil {
		plain = value
	}
	if !strings.Contains(plain, "://") {
		return parameter
	}
	redacted := Redact(plain)
	switch redacted {
	case plain:
		return parameter
	case Redact(value): // it was not escaped
		return name + "=" + redacted
	}
	return name + "=" + url.QueryEscape(redacted)
}

// errReason drops the URL, which may hold credentials, from a url.Error. A reason may quote a
// part of it, such as a password that is not escaped.
func errReason(raw string, err error) error {
	if HasUnbracketedIPv6(raw) {
		return errors.New("write an IPv6 address in brackets, as in http://[::1]:8080/")
	}
	if strings.Contains(raw, "@") {
		return errors.New("escape special characters in the user name and the password: %40 for @")
	}
	if e, ok := err.(*url.Error); ok {
		return e.Err
	}
	return err
}

// bareAddress finds an IPv6 address where the host of a URL belongs.
var bareAddress = lazyregexp.New(`^(?:[A-Za-z0-9]+::)?[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)(?:[/?#%]|$)`)

// HasUnbracketedIPv6 reports whether a URL's host is an IPv6 address without brackets (RFC 3986,
// 3.2.2).
func HasUnbracketedIPv6(raw string) bool { return bareAddress.MatchString(raw) }
