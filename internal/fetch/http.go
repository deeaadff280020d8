package fetch

import (
	"context"
	"net/http"
	"net/url"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/transfer"
)

// do sends a request and returns the answer, whatever its status. The header
// fields are sent besides those of every request. What proves who asks goes over
// TLS only.
func (c *Client) do(ctx context.Context, method string, u *url.URL, header http.Header) (*transfer.Response, error) {
	netrc, err := c.netrc()
	if err != nil {
		return nil, err
	}
	bare := *u
	bare.User = nil
	req, err := http.NewRequestWithContext(ctx, method, bare.String(), nil)
	if err != nil {
		return nil, transfer.Permanent(transfer.WithoutURL(err))
	}
	for name, values := range header {
		for _, v := range values {
			req.Header.Add(name, v)
		}
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", c.userAgent)
	}
	req.Header.Set("Accept-Encoding", "identity")
	if user := netrc.find(u); user != nil && req.Header.Get("Authorization") == "" {
		if u.Scheme != "https" {
			return nil, inClear(u)
		}
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	return c.http.Do(req, 0)
}

// inClear refuses to send credentials to a URL that has, or for whose host the
// netrc file has, some.
func inClear(u *url.URL) error {
	e := fault.New(fault.Usage, "credentials for %s would go over plain http, where anybody on the way reads them", transfer.Printable(u.Host, 300))
	if u.User != nil {
		return e.WithHint("write https://, or leave the user out of the URL")
	}
	return e.WithHint("they are those of the netrc file: write https://, or name another file in NETRC")
}
