package form

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// CheckBaseURL reports why what agents download cannot be served at a URL.
func CheckBaseURL(raw string) error {
	wrong := func(why string) error {
		return fault.New(fault.Usage, "the base URL %s", why).
			WithHint("name the http or https URL at which the site's directory will be served, for example https://mirror.example.com/botkube")
	}
	u, err := url.Parse(raw)
	if agent.HasUnbracketedIPv6(raw) {
		return wrong("has an IPv6 address without brackets, as in http://[::1]:8080/")
	}
	if err != nil {
		return wrong("cannot be read")
	}
	if u.User != nil {
		return wrong("holds a user name, which every agent's index would hold too")
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
		return wrong(named + "holds //, which go-getter takes for a part of an archive")
	case slices.ContainsFunc(strings.Split(u.Path, "/"), func(part string) bool { return part == "." || part == ".." }):
		return wrong(named + "holds . or .. in its path")
	}
	return nil
}
