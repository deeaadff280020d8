// Package registry talks to a container registry, by the OCI distribution
// specification 1.1, so that an interrupted upload or download goes on where it
// stopped. The handshake is go-containerregistry's; the requests are its own.
package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// Config says how to talk to registries. It works at its zero value.
type Config struct {
	transfer.Options
	// PlainHTTP speaks http. Nothing else does: not even a registry on this
	// machine is spoken to in the clear unasked.
	PlainHTTP bool
	// Insecure does not verify the registry's certificate.
	Insecure bool
	// FlagPrefix begins the names of the flags that hints name: "source-" makes
	// --plain-http --source-plain-http.
	FlagPrefix string
	// Keychain has the credentials; nil means docker's: the file config.json
	// in ~/.docker or DOCKER_CONFIG, and the helpers that it names.
	Keychain authn.Keychain
	// Retrying, if not nil, is told of failed attempts, from several
	// goroutines. Subject says at what: "uploading sha256:… to HOST/PATH".
	Retrying func(subject string, err error, pause time.Duration)
	// Waiting, if not nil, is told, from several goroutines, that another run,
	// or another part of this one, is downloading a blob: HOST/PATH@sha256:….
	Waiting func(subject string)
}

// Client talks to registries. Its methods may be called concurrently.
type Client struct {
	transport *http.Transport
	plainHTTP bool
	// flag begins the names of flags.
	flag     string
	keychain authn.Keychain
	// options are filled.
	options  transfer.Options
	retrying func(subject string, err error, pause time.Duration)
	waiting  func(subject string)

	mu    sync.Mutex
	known map[access]*handshake
}

// access is what a handshake is about.
type access struct {
	name Name
	push bool
}

// handshake is one for all who want the same access, made by whoever holds its turn.
type handshake struct {
	turn chan struct{}
	done *Repository
}

func New(cfg Config) *Client {
	c := &Client{
		options:   cfg.Filled(),
		plainHTTP: cfg.PlainHTTP,
		flag:      "--" + cfg.FlagPrefix,
		keychain:  cfg.Keychain,
		retrying:  cfg.Retrying,
		waiting:   cfg.Waiting,
		known:     make(map[access]*handshake),
	}
	if c.keychain == nil {
		c.keychain = dockerKeychain{}
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.TLS != nil {
		trust = cfg.TLS.Clone()
	}
	trust.InsecureSkipVerify = cfg.Insecure //nolint:gosec // the user asked for it
	c.options.TLS = trust
	c.transport = c.options.Transport()
	return c
}

// retry calls try until it succeeds, or fails for good: see [transfer.Retry.Do].
func (c *Client) retry(ctx context.Context, subject string, reached func() int64, try func() error) error {
	return c.options.Retry.Do(ctx, func(err error, pause time.Duration) { c.tell(subject, err, pause) }, reached, try)
}

func (c *Client) tell(subject string, err error, pause time.Duration) {
	if c.retrying != nil {
		c.retrying(subject, err, pause)
	}
}

// Close drops idle connections. The client may still be used.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Repository is a repository of a registry that has been asked for access.
// Its methods may be called concurrently.
type Repository struct {
	client *Client
	name   Name
	// host and path are as they go over the wire: docker.io is index.docker.io
	// there, and has names of one component under library/.
	host, path string
	http       *transfer.Client
	// anonymous says that there are no credentials for it.
	anonymous bool
	// admitted says that a token server gave a token for the credentials.
	admitted bool
	// page says that a web page was the answer to the first question.
	page    bool
	accepts uploadForm
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
	doing := "asking " + n.host + " for access to " + n.path
	var r *Repository
	err := c.retry(ctx, doing, nil, func() (err error) {
		r, err = c.shakeHands(ctx, n, push)
		return err
	})
	if err != nil {
		return nil, c.failure(ctx, doing, n.host, err)
	}
	in.done = r
	return r, nil
}

func (c *Client) shakeHands(ctx context.Context, n Name, push bool) (*Repository, error) {
	repo, err := n.repository(c.plainHTTP)
	if err != nil {
		return nil, err
	}
	auth, err := authn.Resolve(ctx, c.keychain, repo)
	if err != nil {
		return nil, transfer.Permanent(newKeychainError(repo, err))
	}
	scope := repo.Scope(transport.PullScope)
	if push {
		scope = repo.Scope(transport.PushScope)
	}
	r := &Repository{client: c, name: n, host: repo.RegistryStr(), path: repo.RepositoryStr(), anonymous: isAnonymous(ctx, auth)}
	w := transfer.NewWatchdog(ctx, c.options.IdleTimeout)
	defer w.Stop()
	d := &authTransport{inner: c.transport, userAgent: c.options.UserAgent, plainHTTP: c.plainHTTP, host: repo.RegistryStr()}
	rt, err := transport.NewWithContext(w.Context(), repo.Registry, auth, d, []string{scope})
	if err != nil {
		return nil, r.handshakeReason(ctx, w, d, auth, err)
	}
	if err := r.checkGreeting(d); err != nil {
		return nil, err
	}
	d.endHandshake()
	r.http = transfer.NewClient(rt, "the registry", c.options.IdleTimeout)
	r.http.Reason = r.reason
	return r, nil
}

func isAnonymous(ctx context.Context, auth authn.Authenticator) bool {
	if auth == authn.Anonymous {
		return true
	}
	cfg, err := authn.Authorization(ctx, auth)
	return err == nil && (cfg == nil || *cfg == authn.AuthConfig{})
}

func (r *Repository) handshakeReason(ctx context.Context, w *transfer.Watchdog, d *authTransport, auth authn.Authenticator, err error) error {
	if ended := w.Reason(); ended != nil {
		return ended
	}
	greeting, last := d.answers()
	if e, ok := errors.AsType[*transport.Error](err); ok {
		return r.libraryStatus(e, last)
	}
	at, cause := d.failure()
	if refused := d.firstRefused(); errors.Is(refused, errInClear) && cause == nil {
		return refused
	}
	// Of two schemes that it tried, the library tells in one line; what
	// happened on the wire is said better.
	if cause != nil && at != r.host {
		return &transfer.RedirectedError{Host: at, Err: plainReason(cause)}
	}
	if cause != nil {
		return plainReason(cause)
	}
	if greeting.code == http.StatusUnauthorized && last.code == http.StatusOK {
		return transfer.Permanent(&noTokenError{host: last.host, page: last.page})
	}
	secrets := secretsOf(ctx, auth)
	text := transfer.Printable(hide(firstLine(err.Error()), secrets), maxMessage)
	if strings.Contains(text, "www-authenticate") {
		return transfer.Permanent(&noTokenError{reason: text})
	}
	return transfer.Permanent(errors.New(text))
}

// checkGreeting takes from the answer to the first question what the library passes over.
func (r *Repository) checkGreeting(d *authTransport) error {
	greeting, _ := d.answers()
	r.page = greeting.page && greeting.code == http.StatusOK
	known := func(scheme string) bool {
		return strings.EqualFold(scheme, "basic") || strings.EqualFold(scheme, "bearer")
	}
	bearer := slices.ContainsFunc(greeting.offers, func(scheme string) bool { return strings.EqualFold(scheme, "bearer") })
	r.admitted = bearer && !r.anonymous
	if len(greeting.offers) > 0 && !slices.ContainsFunc(greeting.offers, known) {
		return transfer.Permanent(&authSchemeError{greeting.host, greeting.offers})
	}
	return nil
}

// repository returns the library's notion of a name.
func (n Name) repository(plainHTTP bool) (name.Repository, error) {
	var opts []name.Option
	if plainHTTP {
		opts = append(opts, name.Insecure)
	}
	repo, err := name.NewRepository(n.String(), opts...)
	if err != nil {
		return name.Repository{}, transfer.Permanent(err)
	}
	return repo, nil
}
