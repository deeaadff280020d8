package fetch

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/go-getter/v2"
	getterurl "github.com/hashicorp/go-getter/v2/helper/url"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// source is a parsed URL.
type source struct {
	// shown is the URL without secrets, for messages and the store.
	shown string
	// getter is the name of go-getter's getter for the URL.
	getter string
	// url is the URL that the getter gets.
	url *url.URL
}

var fileGetters = []string{"http", "https", "file", "s3", "gcs"}

// parseSource parses the URL of a file. Its errors are of kind [fault.Usage] if the URL cannot be
// mirrored, as it names a directory.
func parseSource(raw string) (source, error) {
	src := source{shown: agent.Redact(raw)}
	detected, ok := detect(raw)
	if !ok {
		return src, fault.New(fault.Usage, "it is neither a URL nor a source that go-getter knows").
			WithHint("write a URL that begins with https://, http:// or file://")
	}
	rest, subdir := getter.SourceDirSubdir(detected)
	var err error
	if src.getter, src.url, err = splitURL(rest); err != nil {
		return src, err
	}
	switch u := src.url; {
	case src.getter == "git" || src.getter == "hg":
		return src, fault.New(fault.Usage, "the URL is a repository (%s), and only single files can be mirrored", src.getter).
			WithHint("leave the plugin out with --exclude, or ask its publisher for an archive")
	case !slices.Contains(fileGetters, src.getter):
		return src, fault.New(fault.Usage, "downloads with %q are not supported", src.getter).
			WithHint("use one of %s", strings.Join(fileGetters, ", "))
	case strings.HasSuffix(u.Path, "/") || u.Path == "":
		return src, fault.New(fault.Usage, "the URL is a directory, and only single files can be mirrored").
			WithHint("leave the plugin out with --exclude, or ask its publisher for an archive")
	case subdir != "":
		return src, fault.New(fault.Unexpected, "the URL has the sub-directory %q", subdir)
	case u.Query().Has("checksum"):
		return src, fault.New(fault.Unexpected, "the URL has the parameter checksum")
	case src.isWeb() && u.Host == "":
		return src, fault.New(fault.Usage, "the URL has no host")
	}
	// As go-getter does (client.go, Get): the agent requests the URL in this form.
	src.url.RawQuery = src.url.Query().Encode()
	return src, nil
}

// splitURL returns the name of a URL's getter (the one it forces, or its scheme) and the URL for that
// getter.
func splitURL(located string) (kind string, u *url.URL, err error) {
	kind, rest := agent.SplitGetter(located)
	if u, err = getterurl.Parse(rest); err != nil {
		return "", nil, fault.New(fault.Usage, "the URL is not valid: %w", transfer.WithoutURL(err))
	}
	return cmp.Or(kind, u.Scheme), u, nil
}

// webURL returns the URL of a file or a git repository on a web server, or nil.
func webURL(raw string) *url.URL {
	detected, _ := detect(raw)
	located, _ := getter.SourceDirSubdir(detected)
	kind, u, err := splitURL(located)
	if err != nil || !slices.Contains([]string{"http", "https", "git"}, kind) {
		return nil
	}
	return u
}

// Canonical returns the original URL for one of a --via rule's server: see [transfer.Via.Canonical].
func (c *Client) Canonical(u *url.URL) *url.URL { return c.cfg.Via.Canonical(u) }

// Instead returns the URL that a --via rule requests instead, without secrets; "" if no rule matches.
func (c *Client) Instead(raw string) string {
	if u := webURL(raw); u != nil && c.cfg.Via != nil {
		return c.cfg.Via.Instead(u)
	}
	return ""
}

// isWeb reports whether the source is a web server.
func (s source) isWeb() bool { return s.getter == "http" || s.getter == "https" }
