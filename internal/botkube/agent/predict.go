package agent

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// CallKind is what the agent downloads with a call.
type CallKind string

// The kinds of calls.
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
	// Files are the regular files of the cache directory, as relative paths
	// with slashes.
	Files map[string]bool
	// Indexes are the indexes of the cache directory, by repository. A
	// repository without one is absent.
	Indexes map[string][]byte
	// Upstream is what a GET of a repository's index would answer. A
	// repository whose index cannot be had is absent.
	Upstream map[string][]byte
	// URLs are the configured repositories' index URLs.
	URLs map[string]string
	// Executors and Sources are the keys of the enabled plugins.
	Executors []string
	Sources   []string
	Platform  Platform
}

// Predict returns the downloads that the agent makes when it starts, each once, in the
// order of the agent. The order of a plugin's dependencies is random in the agent. The
// error says why the start fails even if every call succeeds, except those for absent
// indexes (pkg/plugin/manager.go, Manager.Start).
func Predict(p Startup) ([]Call, error) {
	s := simulation{Startup: p, files: maps.Clone(p.Files), indexes: maps.Clone(p.Indexes)}
	if s.files == nil {
		s.files = map[string]bool{}
	}
	if s.indexes == nil {
		s.indexes = map[string][]byte{}
	}
	err := s.start(false)
	if errors.Is(err, errNotFound) {
		err = s.start(true)
	}
	return s.calls, err
}

// errNotFound is the agent's NotFoundPluginError, which makes it start over
// with a forced download of every index.
var errNotFound = errors.New("not found")

type simulation struct {
	Startup
	files   map[string]bool
	indexes map[string][]byte
	calls   []Call
}

func (s *simulation) call(c Call) {
	if !slices.Contains(s.calls, c) {
		s.calls = append(s.calls, c)
	}
}

func (s *simulation) start(force bool) error {
	repositories, err := s.repositories()
	if err != nil {
		return err
	}
	for _, name := range repositories {
		if err := s.loadIndex(name, force); err != nil {
			return err
		}
	}
	read := map[string]*Index{}
	for _, name := range repositories {
		ix, err := ReadIndex(s.indexes[name])
		if err != nil {
			return fmt.Errorf("index of %q: %w", name, err)
		}
		read[name] = ix
	}
	for _, enabled := range []struct {
		t    PluginType
		keys []string
	}{{Executor, s.Executors}, {Source, s.Sources}} {
		for _, key := range enabled.keys {
			if err := s.loadPlugin(read, enabled.t, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// repositories is collectEnabledRepositories: a repository stands once for each
// key that names it.
func (s *simulation) repositories() ([]string, error) {
	var names []string
	for _, key := range slices.Concat(s.Executors, s.Sources) {
		k, err := splitKey(key)
		if err != nil {
			return nil, err
		}
		if _, configured := s.URLs[k.Repository]; !configured {
			return nil, fmt.Errorf("repository %q is not configured, but plugin %q is of it", k.Repository, key)
		}
		names = append(names, k.Repository)
	}
	return names, nil
}

// splitKey is DecomposePluginKey, which unlike [ParsePluginKey] takes an empty
// version for the newest.
func splitKey(key string) (PluginKey, error) {
	return ParsePluginKey(strings.TrimSuffix(key, "@"))
}

func (s *simulation) loadIndex(name string, force bool) error {
	if _, onDisk := s.indexes[name]; onDisk && !force {
		return nil
	}
	s.call(Call{Kind: CallIndex, Repository: name, URL: s.URLs[name]})
	data, served := s.Upstream[name]
	if !served {
		return fmt.Errorf("the index of %q cannot be had", name)
	}
	// The agent writes over the old index without shortening it (manager.go,
	// fetchIndex), so the end of a longer one stays.
	old := s.indexes[name]
	s.indexes[name] = slices.Concat(data, old[min(len(old), len(data)):])
	return nil
}

// loadPlugin is loadPlugins and ensurePluginDownloaded for one key.
func (s *simulation) loadPlugin(read map[string]*Index, t PluginType, key string) error {
	k, err := splitKey(key)
	if err != nil {
		return err
	}
	versions := read[k.Repository].Versions(t, k.Name)
	if len(versions) == 0 {
		return fmt.Errorf("%s %q: %w", t, key, errNotFound)
	}
	newest := versions[0]
	if k.Version == "" {
		k.Version = newest.Version
	}
	binary := BinaryPath(k.Repository, t, k.Version, k.Name)
	build, built := newest.Build(s.Platform)
	if !s.files[binary] {
		if !built {
			return fmt.Errorf("%s %q for %s: %w", t, key, s.Platform, errNotFound)
		}
		s.call(Call{Kind: CallPlugin, Repository: k.Repository, Plugin: key, URL: build.URL})
		s.files[binary] = true
	}
	return s.loadDependencies(k, key, binary, newest)
}

func (s *simulation) loadDependencies(k PluginKey, key, binary string, newest *Entry) error {
	build, _ := newest.Build(s.Platform)
	for _, name := range newest.DependencyNames() {
		path := DependencyPath(binary, name)
		if s.files[path] {
			continue
		}
		url, listed := build.Dependencies[name]
		if !listed {
			return fmt.Errorf("dependency %q of %q for %s: %w", name, key, s.Platform, errNotFound)
		}
		s.call(Call{Kind: CallDependency, Repository: k.Repository, Plugin: key, Dependency: name, URL: url})
		s.files[path] = true
	}
	return nil
}
