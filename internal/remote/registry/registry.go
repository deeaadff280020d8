// Package registry talks to a container registry, by the OCI distribution
// specification 1.1, so that an interrupted upload or download goes on where it
// stopped.
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

// Config says how to talk to registries. It works at its zero value.
type Config struct {
	transfer.Options
	// PlainHTTP speaks http. Without it, the client speaks only https, even to a registry on this
	// machine.
	PlainHTTP bool
	// Insecure does not verify the registry's certificate.
	Insecure bool
	// FlagPrefix begins the names of the flags that hints name: "source-" makes
	// --plain-http --source-plain-http.
	FlagPrefix string
	// Credentials looks up who asks for a repository, by its host and path; nil means
	// docker's: the file config.json in ~/.docker or DOCKER_CONFIG, and the helpers that
	// it names.
	Credentials func(ctx context.Context, host, path string) (Credentials, error)
	// Retrying, if not nil, is told of failed attempts, from several
	// goroutines. Subject says at what: "uploading sha256:… to HOST/PATH".
	Retrying func(subject string, err error, pause time.Duration)
	// Waiting, if not nil, is told, from several goroutines, that another run,
	// or another part of this one, is downloading a blob: HOST/PATH@sha256:….
	Waiting func(subject string)
	// Parallel is how many blobs are sent at a time; 0 stands for any number.
	Parallel int
}

// Client talks to registries. Its methods may be called concurrently.
type Client struct {
	// Config is filled.
	Config
	transport *http.Transport
	// sending has an element for each blob that is being sent.
	sending chan struct{}

	mu    sync.Mutex
	known map[access]*handshake
	// asking is held while credentials are looked up: whoever has them may ask a person.
	asking sync.Mutex
}

// flag returns the name of a flag.
func (c *Client) flag(name string) string { return "--" + c.FlagPrefix + name }

// access is what a [handshake] is about.
type access struct {
	name Name
	push bool
}

// handshake is one for all who want the same access, made by whoever holds its turn.
type handshake struct {
	turn chan struct{}
	done *Repository
}

// New returns a client. Fields of the configuration that are zero get their defaults.
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

// retry calls try until it succeeds, or fails for good: see [transfer.Retry.Do].
func (c *Client) retry(ctx context.Context, subject string, reached func() int64, try func() error) error {
	return c.Retry.Do(ctx, func(err error, pause time.Duration) { c.Retrying(subject, err, pause) }, reached, try)
}

// Close drops idle connections. The client may still be used.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Repository is a repository of a registry that has been asked for access.
// Its methods may be called concurrently.
type Repository struct {
	client *Client
	name   Name
	// asked is the repository that is requested: name, or the one that a --via rule puts in its
	// place. rule is the hint if a request to that fails. unruled says that there are rules, but
	// none for name.
	asked   Name
	rule    string
	unruled bool
	// host and path are those of asked as they go over the wire: see [Name.wire].
	host, path  string
	http        *transfer.Client
	anonymous   bool         // there are no credentials for it
	admitted    bool         // a token server gave a token for the credentials
	page        bool         // a web page was the answer to the first question
	secrets     []string     // must not be shown, whoever repeats them
	piece       atomic.Int64 // how many bytes of a blob a request may bring; 0 stands for any number
	noReferrers atomic.Bool  // it keeps no lists of referrers
	whole       atomic.Bool  // a blob is taken only in the request that ends the upload
}

// follow applies the --via rules, unless push is set. A rule may have any name of Docker Hub.
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

// from says what is asked in the place of the repository.
func (r *Repository) from() string {
	if instead := r.Instead(); instead != "" {
		return " from " + instead
	}
	return ""
}

// Name returns what the repository is called.
func (r *Repository) Name() Name { return r.name }

// Repository asks a registry for access to a repository, to pull and, if push
// is set, to push as well. It asks once for all calls that want the same.
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
	if !push { // what is written goes where the user and the registry say
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
	answering time.Duration // how long the registry may take to answer; 0 stands for the idle timeout
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

// exchange does a request, and returns the answer if its status is one of codes.
func (r *Repository) exchange(ctx context.Context, q request, codes ...int) (*transfer.Response, error) {
	resp, err := r.do(ctx, q)
	if err != nil {
		return nil, err
	}
	return resp, r.expect(resp, codes...)
}

// http returns the request as net/http wants it.
func (q request) http(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, q.method, q.url.String(), bytes.NewReader(q.data))
	if err != nil {
		return nil, transfer.Permanent(errors.New("the registry names a URL that is none"))
	}
	maps.Copy(req.Header, q.header)
	req.Header.Set("Accept-Encoding", "identity")
	if q.body != nil {
		req.Body, req.ContentLength, req.GetBody = q.body, q.body.size, nil
	}
	return req, nil
}
