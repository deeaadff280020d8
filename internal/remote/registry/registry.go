// Package registry is a client for container registries (OCI distribution specification 1.1). It
// reads and writes blobs, manifests, tags and referrers, and resumes interrupted uploads and
// downloads.
package registry

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// Config has a client's settings. The zero value is usable.
type Config struct {
	transfer.Options
	// PlainHTTP allows http. Without it, the client uses https only, even for a registry on this
	// machine.
	PlainHTTP bool
	// Insecure turns the check of the registry's certificate off.
	Insecure bool
	// FlagPrefix is put before the names of flags in hints: "source-" turns --plain-http into
	// --source-plain-http.
	FlagPrefix string
	// Credentials looks up the credentials for a repository, by its host and path; nil means as docker
	// does: in config.json in ~/.docker or DOCKER_CONFIG, and with the helpers that it names.
	Credentials func(ctx context.Context, host, path string) (Credentials, error)
	// Retrying, if not nil, is called after a failed attempt, before the pause. Subject says what
	// failed: "uploading sha256:… to HOST/PATH". Calls may be concurrent.
	Retrying func(subject string, err error, pause time.Duration)
	// Waiting, if not nil, is called if another process or goroutine is downloading the same blob.
	// Subject is HOST/PATH@sha256:…. Calls may be concurrent.
	Waiting func(subject string)
	// Parallel is how many blobs are uploaded at a time; 0 means no limit.
	Parallel int
}

// Client is a client for any number of registries. Its methods may be called concurrently.
type Client struct {
	// Config has its defaults filled in.
	Config
	transport *http.Transport
	// sending has an element for each blob that is being uploaded.
	sending chan struct{}

	mu    sync.Mutex
	known map[access]*handshake
	// asking is held while credentials are looked up: a helper may ask the user.
	asking sync.Mutex
}

// flag returns the name of a flag for hints.
func (c *Client) flag(name string) string { return "--" + c.FlagPrefix + name }

// access is the key of a [handshake].
type access struct {
	name Name
	push bool
}

// handshake gets access to a repository once, for all calls that need it. The call that holds turn
// makes it.
type handshake struct {
	turn chan struct{}
	done *Repository
}

// New returns a client. The caller should call [Client.Close].
func New(cfg Config) *Client {
	cfg.Options = cfg.Filled()
	if cfg.Credentials == nil {
		cfg.Credentials = dockerCredentials
	}
	if cfg.Retrying == nil {
		cfg.Retrying = func(string, error, time.Duration) {}
	}
	if cfg.Waiting == nil {
		cfg.Waiting = func(string) {}
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.TLS != nil {
		trust = cfg.TLS.Clone()
	}
	trust.InsecureSkipVerify = cfg.Insecure //nolint:gosec // the user asked for it
	cfg.TLS = trust
	return &Client{Config: cfg, transport: cfg.Transport(), sending: make(chan struct{}, cmp.Or(cfg.Parallel, math.MaxInt16)), known: make(map[access]*handshake)}
}

// retry repeats try: see [transfer.Retry.Do].
func (c *Client) retry(ctx context.Context, subject string, reached func() int64, try func() error) error {
	return c.Retry.Do(ctx, func(err error, pause time.Duration) { c.Retrying(subject, err, pause) }, reached, try)
}

// Close closes idle connections. The client may still be used.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Repository is a repository in a registry. [Client.Repository] returns one. Its methods may be called
// concurrently.
type Repository struct {
	client *Client
	name   Name
	// asked is the repository for requests: name, or what a --via rule replaces it by. Rule is the
	// hint if a request to that fails. Unruled says that there are rules, but none for name.
	asked   Name
	rule    string
	unruled bool
	// host and path are those of asked for requests: see [Name.wire].
	host, path  string
	http        *transfer.Client
	anonymous   bool         // there are no credentials
	admitted    bool         // a token server accepted the credentials
	page        bool         // the answer to GET /v2/ is a web page
	secrets     []string     // must not be shown, even if a server repeats them
	piece       atomic.Int64 // how many bytes of a blob one request may have; 0 means no limit
	noReferrers atomic.Bool  // the registry has no referrers API
	whole       atomic.Bool  // the registry takes a blob only in the last request of an upload
}

// follow applies the --via rules, except for pushes. A rule may use any host name of Docker Hub.
func (r *Repository) follow(via *transfer.Via, push bool) error {
	r.asked = r.name
	if via == nil || push {
		return nil
	}
	host, path := r.name.wire()
	hosts := []string{host}
	if r.name.IsDockerHub() {
		hosts = slices.Sorted(maps.Keys(dockerHub))
	}
	for _, host := range hosts {
		u := &url.URL{Scheme: "docker", Host: host, Path: "/" + path}
		if asked := via.URL(u); asked != u {
			r.rule = via.Hint(u)
			instead, err := ParseRepository(asked.Host + asked.Path)
			if err == nil {
				r.asked = instead
			}
			return err
		}
	}
	r.unruled = true
	return nil
}

// Instead returns the repository that a --via rule requests instead, or "" if no rule matches.
func (r *Repository) Instead() string {
	if r.asked == r.name {
		return ""
	}
	return r.asked.String()
}

// from returns " from INSTEAD" for messages if a --via rule matches, or "".
func (r *Repository) from() string {
	if instead := r.Instead(); instead != "" {
		return " from " + instead
	}
	return ""
}

// Name returns the repository's name, without --via rules.
func (r *Repository) Name() Name { return r.name }

// Repository logs in to a registry and returns one of its repositories, to pull and, if push is set,
// also to push. It logs in once for all calls with the same arguments.
func (c *Client) Repository(ctx context.Context, n Name, push bool) (*Repository, error) {
	key := access{n, push}
	c.mu.Lock()
	in := c.known[key]
	if in == nil {
		in = &handshake{turn: make(chan struct{}, 1)}
		c.known[key] = in
	}
	c.mu.Unlock()
	select {
	case in.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-in.turn }()
	if in.done != nil {
		return in.done, nil
	}
	r := &Repository{client: c, name: n}
	doing := "asking " + n.host + " for access to " + n.path
	err := r.follow(c.Via, push)
	if err == nil {
		err = c.retry(ctx, doing+r.from(), nil, func() error { return r.shakeHands(ctx, push) })
	}
	if err != nil {
		return nil, r.failure(ctx, doing, err)
	}
	in.done = r
	return r, nil
}

func (r *Repository) shakeHands(ctx context.Context, push bool) error {
	c := r.client
	r.host, r.path = r.asked.wire()
	c.asking.Lock()
	who, err := c.Credentials(ctx, r.host, r.path)
	c.asking.Unlock()
	if err != nil {
		return transfer.Permanent(err)
	}
	r.anonymous, r.secrets = who == Credentials{}, []string{who.Password, who.IdentityToken, who.RegistryToken}
	l := &login{Repository: r, auth: who, scope: "repository:" + r.path + ":pull", turn: make(chan struct{}, 1)}
	if push {
		l.scope += ",push"
	}
	r.http = transfer.NewClient(l, "the registry", c.Options)
	if !push { // --via rules are for downloads only
		r.http.Via = c.Via
	}
	return l.greet(ctx)
}

type request struct {
	method    string
	url       *url.URL
	header    http.Header
	body      *upload       // may be nil
	data      []byte        // a short body
	answering time.Duration // how long the registry may take to answer; 0 means the idle timeout
}

func (r *Repository) do(ctx context.Context, q request) (*transfer.Response, error) {
	req, err := q.http(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := r.http.Do(req, q.answering)
	if err != nil && q.url.Host != r.host && !transfer.Is[*transfer.RedirectError](err) {
		err = &transfer.RedirectedError{Host: q.url.Host, Err: err}
	}
	return resp, err
}

// exchange sends a request and returns the answer if its status is one of codes.
func (r *Repository) exchange(ctx context.Context, q request, codes ...int) (*transfer.Response, error) {
	resp, err := r.do(ctx, q)
	if err != nil {
		return nil, err
	}
	return resp, r.expect(resp, codes...)
}

// http returns the request for net/http.
func (q request) http(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, q.method, q.url.String(), bytes.NewReader(q.data))
	if err != nil {
		return nil, transfer.Permanent(errors.New("the registry sends a URL that is not valid"))
	}
	maps.Copy(req.Header, q.header)
	req.Header.Set("Accept-Encoding", "identity")
	if q.body != nil {
		req.Body, req.ContentLength, req.GetBody = q.body, q.body.size, nil
	}
	return req, nil
}
