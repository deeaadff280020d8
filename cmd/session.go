package cmd

import (
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// needs are the parts of a session that a command needs.
type needs struct {
	transfer transferFlags
	// download is for upstream.
	download downloadFlags
	// store keeps downloads.
	store bool
	// upstream is for the servers of plugins. They are trusted as the registry is.
	upstream bool
	// registry, if not nil, is for registries.
	registry *registryFlags
	// source, if not nil, is for the registry that is read if another one is written.
	source *registryFlags
}

// inSession prepares what a command needs, shows progress, and returns what run returns.
func inSession[T any](ctx context.Context, g *global, n needs, run func(*mirror.Session) (T, error)) (result T, err error) {
	err = g.withSession(ctx, n, func(s *mirror.Session) error {
		result, err = run(s)
		return err
	})
	return result, err
}

// show prints what run returns, in a session with what a command needs.
func show[T any](ctx context.Context, g *global, n needs, summary func(T) string, run func(*mirror.Session) (T, error)) error {
	result, err := inSession(ctx, g, n, run)
	if err != nil {
		return err
	}
	return g.print(result, func() string { return summary(result) })
}

func (g *global) withSession(ctx context.Context, n needs, run func(*mirror.Session) error) error {
	if err := n.transfer.check(); err != nil {
		return err
	}
	if n.upstream || n.registry != nil || n.source != nil {
		if err := g.checkProxies(); err != nil {
			return err
		}
	}
	p := g.progress()
	defer p.close()
	session := &mirror.Session{Parallel: n.transfer.parallel, Observe: p.observe}
	var trust *tls.Config
	if n.registry != nil {
		var err error
		if trust, err = n.registry.identity().TLS(ctx); err != nil {
			return err
		}
		session.Registry = n.registry.client(trust, programVersion(g.env.Version), n.transfer, p)
		defer session.Registry.Close()
	}
	if n.source != nil {
		trust, err := n.source.identity().TLS(ctx)
		if err != nil {
			return err
		}
		session.Source = n.source.client(trust, programVersion(g.env.Version), n.transfer, p)
		defer session.Source.Close()
	}
	if n.store {
		s, err := g.openStore()
		if err != nil {
			return err
		}
		defer s.Close()
		session.Store = s
	}
	if n.upstream {
		var identity transfer.Identity
		if n.registry != nil {
			identity = n.registry.identity()
		}
		session.Fetch = fetch.New(fetch.Config{
			Options: n.transfer.options(trust, programVersion(g.env.Version)), Store: session.Store, Netrc: g.netrc(),
			MaxBytes: n.download.maxSize.bytes, Identity: identity, Retrying: p.retrying,
		})
		defer session.Fetch.Close()
	}
	return run(session)
}

// openStore opens the store that the flags name.
func (g *global) openStore() (*store.Store, error) {
	dir := g.store
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fault.New(fault.Usage, "there is no cache directory for the store: %w", err).WithHint("name a directory with --store")
		}
		dir = filepath.Join(cache, "botkube-mirror")
	}
	if g.sharedStore {
		return store.OpenShared(dir)
	}
	return store.Open(dir)
}

// needs returns what reading sources takes: a network and a store only if one
// is in a registry.
func (r *registryFlags) needs(transfer transferFlags, sources ...string) needs {
	n := needs{transfer: transfer}
	if slices.ContainsFunc(sources, inRegistry) {
		n.store, n.registry = true, r
	}
	return n
}

// inRegistry reports whether a source is in a registry.
func inRegistry(source string) bool { return strings.HasPrefix(source, form.RegistryPrefix) }
