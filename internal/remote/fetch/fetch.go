// Package fetch downloads files, directories and small documents by URL. Files and directories go
// into the store, complete and verified. It understands all URL forms that the agent does.
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

// Config has a client's settings. The zero value is usable, except that [Client.Blob] needs Store.
type Config struct {
	transfer.Options
	// Store is where [Client.Blob] puts content.
	Store *store.Store
	// Identity has the certificate files of Options.TLS, for git, which reads them itself.
	Identity transfer.Identity
	// Netrc is the path of a netrc file, or empty: see [NetrcPath].
	Netrc string
	// MaxBytes is the largest size of one file; 0 means [DefaultMaxBytes].
	MaxBytes int64
	// Retrying, if not nil, is called after a failed attempt at a document or a size, before the
	// pause. Calls may be concurrent. Downloads have an [Observer].
	Retrying func(url string, err error, pause time.Duration)
	// Reading, if not nil, is called for a document that a --via rule requests from another server.
	// Calls may be concurrent.
	Reading func(url, instead string)
}

// DefaultMaxBytes is several times the size of the largest file that Botkube's own plugins need. The
// limit is there because a foreign index may name a file that never ends.
const DefaultMaxBytes = 1 << 30

// Client downloads. Its methods may be called concurrently.
type Client struct {
	// cfg has its defaults filled in.
	cfg  Config
	http *transfer.Client
	// userAgents has the User-Agent by host, for hosts that refuse unknown programs.
	userAgents sync.Map
	netrc      func() (*netrc.Netrc, error)
	transport  *http.Transport
}

// New returns a client. The caller should call [Client.Close].
func New(cfg Config) *Client {
	cfg.Options, cfg.MaxBytes = cfg.Filled(), cmp.Or(cfg.MaxBytes, DefaultMaxBytes)
	c := &Client{cfg: cfg, netrc: readNetrc(cfg.Netrc), transport: cfg.Transport()}
	c.http = transfer.NewClient(c.transport, "the server", cfg.Options)
	c.http.Via = cfg.Via
	return c
}

// retry repeats try, as the options say, and reports failed attempts to [Config.Retrying].
func (c *Client) retry(ctx context.Context, rawURL string, try func() error) error {
	return c.cfg.Retry.Do(ctx, func(err error, pause time.Duration) {
		if c.cfg.Retrying != nil {
			c.cfg.Retrying(agent.Redact(rawURL), err, pause)
		}
	}, nil, try)
}

// Close closes idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Request names a file or a directory to download, and what its content must be.
type Request struct {
	// URL may have user information and a forced getter (s3::…), but no sub-directory and none of
	// go-getter's parameters: see [agent.ParseLocation].
	URL string
	// Checksums must all match.
	Checksums []agent.Checksum
	// SHA256 must match; nil if unknown.
	SHA256 *lock.SHA256
	// Size is in bytes and must match; 0 or a negative number if unknown.
	Size int64
	// Source says in messages where checksums and size come from, for example "the index".
	Source string
	// Tree, if not empty, says that the URL names a directory. It is stored as a tar archive of its
	// files, and checksums and size are those of the archive. The URL then has the form that [Locate]
	// returns, with its sub-directory and parameters. Without a digest, only a git repository that has
	// not changed is reused.
	Tree lock.DirArchive
	// Verify says to read a blob of the store and check its digest before it is reused. Otherwise the
	// caller does that when it reads the blob.
	Verify bool
	// Hold, if not nil, is called after a web server answered and before the content is read. An error
	// from it ends the request.
	Hold func(context.Context) error
}

// Result describes the content of a request.
type Result struct {
	SHA256 lock.SHA256
	// Size is in bytes.
	Size int64
	// Transferred is how many bytes of content this call received, with those that it discarded.
	Transferred int64
	// Reused says that the store already had the content.
	Reused bool
	// Resumed is how many bytes of an earlier run were kept.
	Resumed int64
	// Digests has the sha256 and a digest for each other algorithm of the request's checksums.
	Digests []agent.Checksum
	// Files lists the files of a [lock.DirArchiveYAML]; nil if the blob was reused by its digest.
	Files []lock.TemplateFile
}

// Observer has functions that are called while a request runs.
type Observer = transfer.Observer

// Blob downloads a URL into the store and describes the content. It downloads nothing if the store
// has a blob with the expected digest, or if the server says that the content has not changed.
//
// The error is of kind [fault.Upstream] if the download fails, and of kind [fault.Integrity] if the
// content is not what the request says. Then the content is not kept.
func (c *Client) Blob(ctx context.Context, req Request, obs Observer) (Result, error) {
	r, err := c.blob(ctx, req, obs.Filled())
	if err != nil {
		return Result{}, c.failure("downloading", req.URL, err)
	}
	return r, nil
}
