package agent

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// CallKind is what the agent downloads with a call.
type CallKind string

const (
	CallIndex      CallKind = "index"
	CallPlugin     CallKind = "plugin"
	CallDependency CallKind = "dependency"
)

// Call is a download that the agent makes while it starts.
type Call struct {
	Kind       CallKind
	Repository string
	// Plugin is the plugin's key as the configuration has it; empty for an index.
	Plugin string
	// Dependency is the name of a dependency, or empty for other calls.
	Dependency string
	// URL is as the index or the configuration gives it.
	URL string
}

// External reports whether the call leaves the machine.
func (c Call) External() bool { return !strings.HasPrefix(c.URL, "file://") }

// Startup is what the agent finds when it starts.
type Startup struct {
	// Files are the regular files of the cache directory, as relative paths with slashes.
	Files map[string]bool
	// Indexes are the indexes in the cache directory, by repository.
	Indexes map[string][]byte
	// Upstream has what a GET of an index answers, by repository. Without an entry, it fails.
	Upstream map[string][]byte
	// URLs are the configured repositories' index URLs.
	URLs     map[string]string
	Platform Platform

	decoded map[indexState]decodedIndex
}

// indexState is an index as it was on disk, or after the agent has fetched it.
type indexState struct {
	repository string
	fetched    bool
}

type decodedIndex struct {
	*Index
	err error
}

// Index returns the index that the agent has of a repository: that on disk, or else upstream's.
func (p *Startup) Index(repository string) (*Index, error) {
	return p.index(repository, p.Indexes[repository] == nil)
}

func (p *Startup) index(repository string, fetched bool) (*Index, error) {
	state := indexState{repository, fetched}
	if d, known := p.decoded[state]; known {
		return d.Index, d.err
	}
	data := p.Indexes[repository]
	if fetched {
		// The agent does not shorten the old index (manager.go, fetchIndex): its longer end
		// stays.
		data = slices.Concat(p.Upstream[repository], data[min(len(data), len(p.Upstream[repository])):])
	}
	ix, err := ReadIndex(data)
	if p.decoded == nil {
		p.decoded = map[indexState]decodedIndex{}
	}
	p.decoded[state] = decodedIndex{ix, err}
	return ix, err
}

// Predict returns the downloads that the agent makes when it starts with these plugins, each
// once, in the agent's order (that of dependencies is random there). The error says why the
// start fails even if every call succeeds, except those for absent indexes
// (pkg/plugin/manager.go, Manager.Start).
func (p *Startup) Predict(plugins ...EnabledPlugin) ([]Call, error) {
	s := simulation{Startup: p, fetched: map[string]bool{}, downloaded: map[string]bool{}}
	err := s.start(plugins, false)
	if errors.Is(err, errNotFound) {
		err = s.start(plugins, true)
	}
	return s.calls, err
}

// errNotFound is the agent's NotFoundPluginError: it starts over, and downloads every index.
var errNotFound = errors.New("not found")

type simulation struct {
	*Startup
	fetched, downloaded map[string]bool
	calls               []Call
}

func (s *simulation) call(c Call) {
	if !slices.Contains(s.calls, c) {
		s.calls = append(s.calls, c)
	}
}

func (s *simulation) start(plugins []EnabledPlugin, force bool) error {
	keys := make([]PluginKey, len(plugins))
	for i, p := range plugins { // collectEnabledRepositories
		var err error
		if keys[i], err = DecomposePluginKey(p.Key); err != nil {
			return err
		}
		if _, configured := s.URLs[keys[i].Repository]; !configured {
			return fmt.Errorf("repository %q of plugin %q is not configured", keys[i].Repository, p.Key)
		}
	}
	for _, k := range keys {
		if err := s.loadIndex(k.Repository, force); err != nil {
			return err
		}
	}
	for _, k := range keys {
		if _, err := s.index(k.Repository, s.fetched[k.Repository]); err != nil {
			return fmt.Errorf("index of %q: %w", k.Repository, err)
		}
	}
	for i, p := range plugins {
		if err := s.loadPlugin(p, keys[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *simulation) loadIndex(name string, force bool) error {
	if _, onDisk := s.Indexes[name]; (onDisk || s.fetched[name]) && !force {
		return nil
	}
	s.call(Call{Kind: CallIndex, Repository: name, URL: s.URLs[name]})
	if _, served := s.Upstream[name]; !served {
		return fmt.Errorf("the index of %q is not available", name)
	}
	s.fetched[name] = true
	return nil
}

// loadPlugin is loadPlugins and ensurePluginDownloaded for one key.
func (s *simulation) loadPlugin(p EnabledPlugin, k PluginKey) error {
	ix, err := s.index(k.Repository, s.fetched[k.Repository])
	if err != nil {
		return err
	}
	versions := ix.Versions(p.Type, k.Name)
	if len(versions) == 0 {
		return fmt.Errorf("%s %q: %w", p.Type, p.Key, errNotFound)
	}
	newest := versions[0]
	if k.Version == "" {
		k.Version = newest.Version
	}
	binary := BinaryPath(k.Repository, p.Type, k.Version, k.Name)
	build, built := newest.Build(s.Platform)
	if !s.has(binary) {
		if !built {
			return fmt.Errorf("%s %q for %s: %w", p.Type, p.Key, s.Platform, errNotFound)
		}
		s.call(Call{Kind: CallPlugin, Repository: k.Repository, Plugin: p.Key, URL: build.URL})
		s.downloaded[binary] = true
	}
	for _, name := range newest.DependencyNames() {
		path := DependencyPath(binary, name)
		if s.has(path) {
			continue
		}
		url, listed := build.Dependencies[name]
		if !listed {
			return fmt.Errorf("dependency %q of %q for %s: %w", name, p.Key, s.Platform, errNotFound)
		}
		s.call(Call{Kind: CallDependency, Repository: k.Repository, Plugin: p.Key, Dependency: name, URL: url})
		s.downloaded[path] = true
	}
	return nil
}

func (s *simulation) has(path string) bool { return s.Files[path] || s.downloaded[path] }
