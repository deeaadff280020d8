package form

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// CheckBaseURL returns an error if a site cannot be served at a URL.
func CheckBaseURL(raw string) error {
	wrong := func(why string) error {
		return fault.New(fault.Usage, "the base URL %s", why).
			WithHint("give the http or https URL at which a web server will serve the site's directory, for example https://mirror.example.com/botkube")
	}
	u, err := url.Parse(raw)
	if agent.HasUnbracketedIPv6(raw) {
		return wrong("has an IPv6 address without brackets: write it as in http://[::1]:8080/")
	}
	if err != nil {
		return wrong("cannot be read")
	}
	if u.User != nil {
		return wrong("contains a user name, which would be written into the index of every agent")
	}
	named := fmt.Sprintf("%q ", raw)
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return wrong(named + "is neither http nor https")
	case u.Hostname() == "":
		return wrong(named + "has no host")
	case strings.ContainsAny(raw, "?#"):
		return wrong(named + "has a query or a fragment")
	case strings.Contains(u.Path, "//"):
		return wrong(named + "contains //: go-getter, which downloads the agent's files, reads that as a path inside an archive")
	case slices.ContainsFunc(strings.Split(u.Path, "/"), func(part string) bool { return part == "." || part == ".." }):
		return wrong(named + "contains . or .. in its path")
	}
	return nil
}
