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

// source is a URL as go-getter takes it apart.
type source struct {
	// shown names the URL in messages and in the store, without anything secret.
	shown string
	// getter is the name of the go-getter getter that is responsible.
	getter string
	// url is what that getter is given.
	url *url.URL
}

var fileGetters = []string{"http", "https", "file", "s3", "gcs"}

// parseSource finds out which getter a URL is for, and refuses what is not a single file.
func parseSource(raw string) (source, error) {
	src := source{shown: agent.Redact(raw)}
	detected, ok := detect(raw)
	if !ok {
		return src, fault.New(fault.Usage, "it is not a URL, and nothing that go-getter takes for one").
			WithHint("relative URLs are resolved against their index before they get here")
	}
	rest, subdir := getter.SourceDirSubdir(detected)
	var err error
	if src.getter, src.url, err = splitURL(rest); err != nil {
		return src, err
	}
	switch u := src.url; {
	case src.getter == "git" || src.getter == "hg":
		return src, fault.New(fault.Usage, "the agent clones this with %s; the mirror carries single files only", src.getter).
			WithHint("leave the plugin out with --exclude, or have its publisher offer an archive")
	case !slices.Contains(fileGetters, src.getter):
		return src, fault.New(fault.Usage, "downloads by %q are not supported", src.getter).
			WithHint("supported are %s", strings.Join(fileGetters, ", "))
	case strings.HasSuffix(u.Path, "/") || u.Path == "":
		return src, fault.New(fault.Usage, "it names a directory; the mirror carries single files only").
			WithHint("leave the plugin out with --exclude, or have its publisher offer an archive")
	case subdir != "":
		return src, fault.New(fault.Unexpected, "it names the sub-directory %q of what is to be downloaded", subdir)
	case u.Query().Has("checksum"):
		return src, fault.New(fault.Unexpected, "it has go-getter's parameter checksum, which belongs in the request")
	case src.isWeb() && u.Host == "":
		return src, fault.New(fault.Usage, "it has no host")
	}
	// As go-getter does (client.go, Get): the agent asks for a URL in this form.
	src.url.RawQuery = src.url.Query().Encode()
	return src, nil
}

// splitURL returns the name of the getter that a URL is for, as it names one or by its
// scheme, and what that getter is given.
func splitURL(located string) (kind string, u *url.URL, err error) {
	kind, rest := agent.SplitGetter(located)
	if u, err = getterurl.Parse(rest); err != nil {
		return "", nil, fault.New(fault.Usage, "it cannot be read as a URL: %w", transfer.WithoutURL(err))
	}
	return cmp.Or(kind, u.Scheme), u, nil
}

// webURL returns the URL of a file or a repository that a web server has, or nil.
func webURL(raw string) *url.URL {
	detected, _ := detect(raw)
	located, _ := getter.SourceDirSubdir(detected)
	kind, u, err := splitURL(located)
	if err != nil || !slices.Contains([]string{"http", "https", "git"}, kind) {
		return nil
	}
	return u
}

// Canonical returns the URL in whose place one of a proxy is asked: see [transfer.Via].
func (c *Client) Canonical(u *url.URL) *url.URL { return c.cfg.Via.Canonical(u) }

// Instead returns what is asked in the place of a URL, fit to be shown; "" if that is the URL itself.
func (c *Client) Instead(raw string) string {
	if u := webURL(raw); u != nil && c.cfg.Via != nil {
		return c.cfg.Via.Instead(u)
	}
	return ""
}

// isWeb reports whether a web server is asked.
func (s source) isWeb() bool { return s.getter == "http" || s.getter == "https" }
