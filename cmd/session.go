package cmd

import (
	"context"
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

type needs struct {
	transfer transferFlags
	store    bool
	// upstream is set for commands that ask the servers of plugins. The certificate authorities are
	// those for the registry.
	upstream bool
	// registry is nil without a network. source is the registry to read, if it is not the one to
	// write.
	registry, source *registryFlags
}

// upstream returns the needs of a command that reads plugins where they are published.
func (n *networkFlags) upstream() needs {
	return needs{transfer: n.transfer, store: true, upstream: true, registry: &n.registry}
}

// sources returns the needs of a command that reads mirrors. Only mirrors in a registry need a network
// and a store.
func (n *networkFlags) sources(targets ...string) needs {
	if slices.ContainsFunc(targets, inRegistry) {
		return needs{transfer: n.transfer, store: true, registry: &n.registry}
	}
	return needs{transfer: n.transfer}
}

func inRegistry(target string) bool { return strings.HasPrefix(target, form.RegistryPrefix) }

// show calls run in a session and prints the result.
func show[T any](ctx context.Context, g *global, n needs, summary func(*layout, T), run func(*mirror.Session) (T, error)) error {
	result, err := inSession(ctx, g, n, run)
	if err != nil {
		return err
	}
	return g.print(result, func(out *layout) { summary(out, result) })
}

// inSession prepares what a command needs, shows progress, and returns the result of run.
func inSession[T any](ctx context.Context, g *global, n needs, run func(*mirror.Session) (T, error)) (result T, err error) {
	if err := n.transfer.check(); err != nil {
		return result, err
	}
	p := g.progress()
	defer p.close()
	s := &mirror.Session{Stdin: g.env.Stdin, Parallel: n.transfer.parallel, Observe: p.observe}
	if n.registry == nil {
		return run(s) // there is no network
	}
	if err := g.checkProxies(); err != nil {
		return result, err
	}
	options := n.transfer.options(programVersion(g.env.Version))
	options.Traffic = p.traffic
	if options.Via, err = transfer.ParseVia(n.transfer.via); err != nil {
		return result, err
	}
	if options.TLS, err = n.registry.identity().TLS(ctx); err != nil {
		return result, err
	}
	s.Registry = n.registry.client(options, n.transfer.parallel, p)
	defer s.Registry.Close()
	if n.source != nil {
		from := options
		if from.TLS, err = n.source.identity().TLS(ctx); err != nil {
			return result, err
		}
		s.Source = n.source.client(from, n.transfer.parallel, p)
		defer s.Source.Close()
	}
	if n.store {
		if s.Store, err = g.openStore(); err != nil {
			return result, err
		}
		defer s.Store.Close()
	}
	if n.upstream {
		home, _ := os.UserHomeDir() // without it, only NETRC names a netrc file
		s.Fetch = fetch.New(fetch.Config{
			Options: options, Store: s.Store, Netrc: fetch.NetrcPath(g.env.Getenv, home),
			MaxBytes: n.transfer.maxSize.bytes, Identity: n.registry.identity(), Retrying: p.retrying, Reading: p.reading,
		})
		defer s.Fetch.Close()
	}
	result, err = run(s)
	if err == nil {
		for _, rule := range options.Via.Unused() {
			p.observe(mirror.Event{Kind: mirror.EventNote, Detail: "--via " + rule + " was not used: no URL begins with its left side"})
		}
	}
	return result, err
}

func (g *global) storeDir() (string, error) {
	if g.store != "" {
		return g.store, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fault.New(fault.Usage, "there is no cache directory for the store: %w", err).WithHint("name a directory with --store")
	}
	return filepath.Join(cache, "botkube-mirror"), nil
}

// openExistingStore is [global.openStore], but does not create a store. If look is set, the store is
// opened for reading only.
func (g *global) openExistingStore(look bool) (*store.Store, error) {
	dir, err := g.storeDir()
	if err != nil {
		return nil, err
	}
	if look {
		return store.Look(dir, g.sharedStore)
	}
	if err := store.Exists(dir); err != nil {
		return nil, err
	}
	return g.openStore()
}

func (g *global) openStore() (*store.Store, error) {
	dir, err := g.storeDir()
	if err != nil {
		return nil, err
	}
	if g.sharedStore {
		return store.OpenShared(dir)
	}
	return store.Open(dir)
}
