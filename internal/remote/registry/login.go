package registry

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// login is the transport of all requests for a repository. It authenticates to the registry, and to
// no other host: with a password, or with a token from the registry's token server
// (distribution/distribution, docs/content/spec/auth). It refuses http unless PlainHTTP is set, also
// after redirects.
type login struct {
	*Repository
	auth  Credentials
	scope string
	turn  chan struct{} // held while the token is renewed

	mu    sync.Mutex
	token string
}

// maxAnswer is how many bytes of a token server's answer are read at most.
const maxAnswer = 64 << 10

var errInClear = &transfer.RedirectError{Reason: "the registry redirects to plain http, unencrypted"}

// greet asks the registry for its authentication schemes, and gets the first token.
func (l *login) greet(ctx context.Context) error {
	resp, err := l.do(ctx, request{method: http.MethodGet, url: l.at("")})
	if err != nil {
		return err
	}
	defer resp.Close()
	l.page = startsPage(resp) && resp.StatusCode == http.StatusOK
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusUnauthorized {
		return l.refused(resp, stageGreeting)
	}
	offers := challengesIn(resp.Header)
	c, ok := preferred(offers)
	switch {
	case ok && c.is("bearer"):
		err := l.renew(ctx, c)
		l.admitted = err == nil && !l.anonymous
		return err
	case ok || len(offers) == 0:
		return nil
	case slices.ContainsFunc(offers, func(c challenge) bool { return c.is("bearer") }):
		return noToken("the registry does not name its token server")
	}
	var names []string
	for _, c := range offers {
		names = append(names, c.scheme)
	}
	wants := fmt.Sprintf("%s accepts only authentication by %s", resp.Request.URL.Host, strings.Join(names, " or "))
	return fault.New(fault.Upstream, "%s", transfer.Printable(wants, maxMessage)).
		WithHint("let the registry accept a user and password (Basic) or tokens (Bearer), maybe for a robot account, or at another port")
}

func (l *login) RoundTrip(req *http.Request) (*http.Response, error) {
	used, greeting := "", req.URL.Path == "/v2/" // the greeting goes without credentials
	if req.URL.Host == l.host && !greeting {
		used = l.authorization()
	}
	resp, err := l.send(req, used)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || greeting {
		return resp, err
	}
	c, ok := preferred(challengesIn(resp.Header))
	if !ok || !c.is("bearer") {
		return resp, nil
	}
	_ = resp.Body.Close()
	if used, err = l.again(req, c, used); err != nil {
		return nil, err
	}
	if req.Body != nil && req.Body != http.NoBody {
		if req.GetBody == nil {
			return nil, errBodyGone // the caller starts again
		}
		again := *req
		if again.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
		req = &again
	}
	return l.send(req, used)
}

// again returns the Authorization field for another attempt, after a token expired or does not allow
// the request. A host to which the registry redirects gets no credentials, but may issue tokens
// without them.
func (l *login) again(req *http.Request, c challenge, used string) (authorization string, err error) {
	if req.URL.Host != l.host {
		token, err := l.ask(req.Context(), c, Credentials{}, c.params["scope"])
		return "Bearer " + token, err
	}
	select {
	case l.turn <- struct{}{}:
	case <-req.Context().Done():
		return "", context.Cause(req.Context())
	}
	defer func() { <-l.turn }()
	if l.authorization() == used {
		if err = l.renew(req.Context(), c); err != nil {
			err = &loginError{err}
		}
	} // else another request has got a new token meanwhile
	return l.authorization(), err
}

// loginError means that there is no new token, so the registry has not answered the request.
type loginError struct{ error }

func (e *loginError) Unwrap() error { return e.error }

// renew gets a token. It asks for the scope that the registry says is missing, and for the scope that
// the repository was opened for. Some token servers only read the first one.
func (l *login) renew(ctx context.Context, c challenge) error {
	if l.auth.RegistryToken != "" {
		return nil // it cannot be renewed
	}
	scopes := []string{l.scope}
	if more := c.params["scope"]; more != "" && more != l.scope {
		scopes = []string{more, l.scope}
	}
	token, err := l.ask(ctx, c, l.auth, scopes...)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.token = cmp.Or(token, l.token)
	return err
}

func (l *login) authorization() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if token := cmp.Or(l.token, l.auth.RegistryToken); token != "" {
		return "Bearer " + token
	}
	return basic(l.auth)
}

func basic(auth Credentials) string {
	if auth.Username == "" || auth.Password == "" {
		return ""
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(auth.Username+":"+auth.Password))
}

// send sends a request.
func (l *login) send(req *http.Request, authorization string) (*http.Response, error) {
	if req.URL.Scheme != "https" && (req.URL.Scheme != "http" || !l.client.PlainHTTP) {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, fmt.Errorf("%w, at %s", errInClear, transfer.Printable(req.URL.Host, maxMessage))
	}
	sent := *req // the caller's request must not change
	sent.Header = req.Header.Clone()
	sent.Header.Set("User-Agent", l.client.UserAgent)
	if authorization != "" {
		sent.Header.Set("Authorization", authorization)
	}
	return l.client.transport.RoundTrip(&sent)
}

// tokenServer is the transport of requests to a token server. It sends credentials to the server's
// host only, not to a redirect's target.
type tokenServer struct {
	*login
	host, authorization string
}

func (s tokenServer) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := s.checkServer(req.URL); err != nil {
		return nil, err
	}
	if req.URL.Host == s.host {
		return s.send(req, s.authorization)
	}
	if req.Method == http.MethodPost {
		return nil, noToken("the token server redirects an identity token to another host, %s", transfer.Printable(req.URL.Host, maxMessage))
	}
	return s.send(req, "")
}

// checkServer refuses a token server, or a redirect's target, at a private address other than the
// registry's own. Otherwise a false registry could make this machine send requests into its private
// network.
func (l *login) checkServer(u *url.URL) error {
	own := url.URL{Host: l.host}
	if u.Hostname() == own.Hostname() {
		return nil
	}
	host, _, _ := strings.Cut(u.Hostname(), "%")
	ip, err := netip.ParseAddr(host)
	last := host[strings.LastIndexByte(host, '.')+1:]
	odd := err != nil && last != "" && last[0] >= '0' && last[0] <= '9' // inet_aton(3) reads 127.1 and 0x7f000001
	if ip = ip.Unmap(); odd || err == nil && (ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() || ip.IsUnspecified()) {
		return noToken("the token server %s is a private or link-local address", transfer.Printable(u.Host, maxMessage))
	}
	return nil
}

// ask gets a token from the server that a challenge names, for the scopes.
func (l *login) ask(ctx context.Context, c challenge, auth Credentials, scopes ...string) (token string, err error) {
	u, err := url.Parse(c.params["realm"])
	if err != nil || u.Host == "" {
		return "", noToken("the registry names a token server, but not with a URL")
	}
	if u.Scheme != "https" && !l.client.PlainHTTP {
		return "", noToken("the URL of the token server %s is not https", transfer.Printable(u.Host, maxMessage))
	}
	if auth.IdentityToken != "" {
		form := url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {auth.IdentityToken}, "client_id": {"botkube-mirror"},
			"service": {c.params["service"]}, "scope": {strings.Join(scopes, " ")},
		}
		q := request{method: http.MethodPost, url: u, header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, data: []byte(form.Encode())}
		token, err = l.tokenFrom(ctx, q, "")
		if e, ok := errors.AsType[*statusError](err); !ok || e.Code != http.StatusNotFound && e.Code != http.StatusMethodNotAllowed {
			return token, err
		} // else it only supports GET
	}
	query := u.Query()
	query["scope"] = scopes
	query.Set("service", c.params["service"])
	u.RawQuery = query.Encode()
	return l.tokenFrom(ctx, request{method: http.MethodGet, url: u}, basic(auth))
}

func (l *login) tokenFrom(ctx context.Context, q request, authorization string) (string, error) {
	req, err := q.http(ctx)
	if err != nil {
		return "", err
	}
	client := transfer.NewClient(tokenServer{l, q.url.Host, authorization}, "the token server", l.client.Options)
	resp, err := client.Do(req, 0)
	if err != nil {
		if q.url.Host != l.host && !transfer.Is[*fault.Error](err) {
			err = &transfer.RedirectedError{Host: q.url.Host, Err: err}
		}
		return "", err
	}
	defer resp.Close()
	if resp.StatusCode != http.StatusOK {
		return "", l.refused(resp, stageToken)
	}
	page := startsPage(resp)
	data, err := io.ReadAll(io.LimitReader(resp, maxAnswer))
	if err != nil {
		return "", err
	}
	var answer struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"` // as OAuth 2 calls it
	}
	if err := json.Unmarshal(data, &answer); err != nil && !page {
		return "", noToken("the token server's answer is not JSON")
	}
	if token := cmp.Or(answer.AccessToken, answer.Token); token != "" {
		return token, nil
	}
	what := "no token"
	if page {
		what = "a web page instead of a token"
	}
	return "", noToken("the token server %s answers with %s", transfer.Printable(resp.Request.URL.Host, maxMessage), what)
}
