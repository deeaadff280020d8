package serve

import (
	"cmp"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
)

// base returns the base URL of the documents that answer a request. It ignores
// X-Forwarded-Host and the like, because any client can send them.
func (h *Handler) base(r *http.Request) (string, error) {
	if h.options.BaseURL != "" {
		return h.options.BaseURL, nil
	}
	if err := checkHost(r.Host); err != nil {
		return "", err
	}
	scheme := "http"
	if h.options.TLS {
		scheme = "https"
	}
	return scheme + "://" + strings.ToLower(r.Host), nil
}

// hostForm is a name or an IPv4 address, or an IPv6 address in brackets, and perhaps a port (RFC
// 3986, section 3.2.2), of the characters that names have in practice.
var hostForm = lazyregexp.New(`^(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{1,5}))?$`)

// maxHost bounds, in bytes, a host with its port: a name has at most 253 (RFC 1035, section 2.3.4).
const maxHost = 253 + len(":65535")

func checkHost(host string) error {
	m := hostForm.FindStringSubmatch(host)
	if m == nil || len(host) > maxHost || strings.Contains(host, "..") {
		return fault.New(fault.Usage, "the request names no host that URLs could begin with")
	}
	if _, err := strconv.ParseUint(cmp.Or(m[2], "0"), 10, 16); err != nil {
		return fault.New(fault.Usage, "the request names a port that there is not")
	}
	if m[1] == "" {
		return nil
	}
	if a, err := netip.ParseAddr(m[1]); err != nil || !a.Is6() {
		return fault.New(fault.Usage, "the request names no IPv6 address in its brackets")
	}
	return nil
}
