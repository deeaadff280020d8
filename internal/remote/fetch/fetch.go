// Package fetch brings the content of a URL into the store, whole and verified,
// by the URL forms that the agent understands.
package fetch

import (
	"cmp"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/bgentry/go-netrc/netrc"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// Config says how to fetch. Only Store must be set, and only for [Client.Blob].
type Config struct {
	transfer.Options
	Store *store.Store
	// Identity is what TLS was made of: git reads the files itself.
	Identity transfer.Identity
	// Netrc is the path of a netrc file, or empty: see [NetrcPath].
	Netrc string
	// MaxBytes bounds one artifact; 0 means [DefaultMaxBytes].
	MaxBytes int64
	// Retrying, if not nil, is told of failed attempts at documents and sizes,
	// from several goroutines. Downloads have an [Observer].
	Retrying func(url string, err error, pause time.Duration)
	// Reading, if not nil, is told of documents that a --via rule requests from another server, also
	// from several goroutines.
	Reading func(url, instead string)
}

// DefaultMaxBytes bounds one artifact: several times the largest that Botkube's own
// plugins need. An index from elsewhere may lead to a body that never ends.
const DefaultMaxBytes = 1 << 30

// Client fetches. Its methods may be called concurrently.
type Client struct {
	// cfg is filled.
	cfg  Config
	http *transfer.Client
	// userAgents has, by host, what this client calls itself where it matters.
	userAgents sync.Map
	netrc      func() (*netrc.Netrc, error)
	transport  *http.Transport
}

// New returns a client. Options that are zero get their defaults; [Client.Close] frees its connections.
func New(cfg Config) *Client {
	cfg.Options, cfg.MaxBytes = cfg.Filled(), cmp.Or(cfg.MaxBytes, DefaultMaxBytes)
	c := &Client{cfg: cfg, netrc: readNetrc(cfg.Netrc), transport: cfg.Transport()}
	c.http = transfer.NewClient(c.transport, "the server", cfg.Options)
	c.http.Via = cfg.Via
	return c
}

// retry asks for what is not stored until that is had.
func (c *Client) retry(ctx context.Context, rawURL string, try func() error) error {
	return c.cfg.Retry.Do(ctx, func(err error, pause time.Duration) {
		if c.cfg.Retrying != nil {
			c.cfg.Retrying(agent.Redact(rawURL), err, pause)
		}
	}, nil, try)
}

// Close closes connections that are kept for further requests.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Request is what to fetch, and what it must be.
type Request struct {
	// URL may carry user information and a forced getter (s3::…), but no sub-directory and
	// none of go-getter's parameters: see [agent.ParseLocation].
	URL string
	// Checksums must all match.
	Checksums []agent.Checksum
	// SHA256, where it is known, must match too.
	SHA256 *lock.SHA256
	// Size in bytes must match, unless it is 0 or negative: then it is unknown.
	Size int64
	// Source says in messages who gave checksums and size: "the index", for example.
	Source string
	// Tree, unless it is empty, says that the URL is that of a directory: what is
	// stored, and what all of the above is about, is an archive of its files, a
	// tar. The URL, in the form that [Locate] returns, then has its
	// sub-directory and parameters. What nobody gave a digest of is reused if git
	// tells that it has not changed.
	Tree lock.DirArchive
	// Verify has a blob that the store has already read and compared before
	// it is reused. Without it, that is for whoever uses the blob.
	Verify bool
	// Hold, if not nil, is called when a web server has answered, and the content waits for it. An
	// error of it ends the request.
	Hold func(context.Context) error
}

// Result is what came of a request.
type Result struct {
	SHA256 lock.SHA256
	// Size is in bytes.
	Size int64
	// Transferred is how many bytes of content came over the wire in this
	// call, those that were thrown away included.
	Transferred int64
	// Reused says that the store had the content already.
	Reused bool
	// Resumed is how many bytes an earlier run had left, and were kept.
	Resumed int64
	// Digests are the sha256 and whatever else the request's checksums asked for.
	Digests []agent.Checksum
	// Files are those of a [lock.TreeYAML] that was downloaded, not reused.
	Files []lock.TemplateFile
}

// Observer is told how a request goes.
type Observer = transfer.Observer

// Blob fetches a URL into the store and returns what it is. It is an [fault.Upstream]
// error if the URL cannot be had, and an [fault.Integrity] error if what comes is not what
// the request says: then nothing is kept. What the store has is not downloaded: by digest
// without asking anybody, else if the server says that the content is still the same.
func (c *Client) Blob(ctx context.Context, req Request, obs Observer) (Result, error) {
	r, err := c.blob(ctx, req, obs.Filled())
	if err != nil {
		return Result{}, c.failure("downloading", req.URL, err)
	}
	return r, nil
}
