package fetch

import (
	"context"
	"net/http"
	"net/url"

	"github.com/botkube-mirror/botkube-mirror/internal/transfer"
)

// do sends a request and returns the answer, whatever its status. The header
// fields are sent besides those of every request.
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
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Accept-Encoding", "identity")
	if user := netrc.find(u); user != nil && req.Header.Get("Authorization") == "" {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	return c.http.Do(req, 0)
}
