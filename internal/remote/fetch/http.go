package fetch

import (
	"context"
	"net/http"
	"net/url"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// agentUserAgent is what the agent's client calls itself (net/http, request.go).
const agentUserAgent = "Go-http-client/1.1"

// do sends a request and returns the answer, whatever its status. The header
// fields are sent besides those of every request. What proves who asks goes over
// TLS only.
//
// Some servers refuse programs that they do not know. A host that does is asked
// once more as by the agent, and from then on so, if that helps.
func (c *Client) do(ctx context.Context, method string, u *url.URL, header http.Header) (*transfer.Response, error) {
	userAgent, told := c.userAgents.Load(u.Host)
	if !told {
		userAgent = c.options.UserAgent
	}
	resp, err := c.send(ctx, method, u, header, userAgent.(string))
	if err != nil || told || resp.StatusCode != http.StatusForbidden || resp.Refusal().Reached {
		return resp, err
	}
	again, err := c.send(ctx, method, u, header, agentUserAgent)
	if err == nil && again.StatusCode != http.StatusForbidden {
		c.userAgents.Store(u.Host, agentUserAgent)
		return again, resp.Close()
	}
	if err == nil {
		c.userAgents.Store(u.Host, c.options.UserAgent)
		_ = again.Close()
	}
	return resp, nil
}

func (c *Client) send(ctx context.Context, method string, u *url.URL, header http.Header, userAgent string) (*transfer.Response, error) {
	netrc, err := disk.Await(ctx, c.netrc)
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
		req.Header.Set("User-Agent", userAgent)
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
