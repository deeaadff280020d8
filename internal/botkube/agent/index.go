package agent

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"

	"github.com/hashicorp/go-version"
	"gopkg.in/yaml.v3"

	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// maxMarks bounds an index or a configuration: see [textfile.CheckYAMLSize]. It is fifty
// for each of 10 000 entries; official indexes have some thousand in all.
const maxMarks = 1 << 19

// Index is a plugin repository's index as the agent reads it.
type Index struct {
	Entries []Entry `yaml:"entries"`

	versions map[pluginName][]*Entry
}

// pluginName is what the versions of a plugin have in common in an index.
type pluginName struct {
	kind PluginType
	name string
}

// Entry is one version of a plugin: the keys of an index that the agent reads
// (pkg/plugin/index.go, IndexEntry).
type Entry struct {
	Name            string     `yaml:"name"`
	Type            PluginType `yaml:"type"`
	Version         string     `yaml:"version"`
	URLs            []EntryURL `yaml:"urls"`
	JSONSchema      JSONSchema `yaml:"jsonSchema"`
	ExternalRequest struct {
		Payload struct {
			JSONSchema JSONSchema `yaml:"jsonSchema"`
		} `yaml:"payload"`
	} `yaml:"externalRequest"`

	// These decide nothing here, but the agent refuses an index in which they do not decode.
	Description      string `yaml:"description"`
	DocumentationURL string `yaml:"documentationUrl"`
	Recommended      bool   `yaml:"recommended"`
}

// UnmarshalYAML reads a string, so that an error describes what is none as such.
func (t *PluginType) UnmarshalYAML(n *yaml.Node) error { return n.Decode((*string)(t)) }

// EntryURL is an entry's binary for one platform.
type EntryURL struct {
	URL          string                     `yaml:"url"`
	Checksum     string                     `yaml:"checksum"`
	Platform     urlPlatform                `yaml:"platform"`
	Dependencies map[string]EntryDependency `yaml:"dependencies"`
}

type urlPlatform struct {
	OS   string `yaml:"os"`
	Arch string `yaml:"architecture"`
}

// EntryDependency is where a dependency is downloaded from.
type EntryDependency struct {
	URL string `yaml:"url"`
}

// JSONSchema is a schema, inline or by reference. The agent prefers Value.
type JSONSchema struct {
	Value  string `yaml:"value"`
	RefURL string `yaml:"refURL"`
}

// Build is what the agent makes of an entry's URLs for one platform
// (pkg/plugin/store.go, mapBinaryURLs).
type Build struct {
	URL          string
	Checksum     string
	Dependencies map[string]string
}

// Build returns the entry's build for a platform. Of several URLs for it the last one counts,
// and dependencies add up, as in the agent.
func (e *Entry) Build(p Platform) (Build, bool) {
	b := Build{Dependencies: map[string]string{}}
	found := false
	for _, u := range e.URLs {
		if u.Platform.OS != p.OS || u.Platform.Arch != p.Arch {
			continue
		}
		found = true
		b.URL, b.Checksum = u.URL, u.Checksum
		for name, d := range u.Dependencies {
			b.Dependencies[name] = d.URL
		}
	}
	return b, found
}

// Platforms returns the platforms that the entry has a URL for, sorted, without malformed ones.
func (e *Entry) Platforms() []Platform {
	var platforms []Platform
	for _, u := range e.URLs {
		p := Platform(u.Platform)
		// No agent runs on it, and its name would become a directory's.
		if _, err := ParsePlatform(p.String()); err == nil {
			platforms = append(platforms, p)
		}
	}
	slices.SortFunc(platforms, ComparePlatforms)
	return slices.Compact(platforms)
}

// DependencyNames returns the dependencies of all platforms, sorted: the agent looks for each on
// every platform.
func (e *Entry) DependencyNames() []string {
	var names []string
	for _, u := range e.URLs {
		names = slices.AppendSeq(names, maps.Keys(u.Dependencies))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// PlatformsOf returns the platforms for which the entry lists a dependency.
func (e *Entry) PlatformsOf(dependency string) []Platform {
	return slices.DeleteFunc(e.Platforms(), func(p Platform) bool {
		build, _ := e.Build(p)
		_, listed := build.Dependencies[dependency]
		return !listed
	})
}

// RefURLs returns the schemas that the entry gives by reference only.
func (e *Entry) RefURLs() []string {
	var urls []string
	for _, s := range []JSONSchema{e.JSONSchema, e.ExternalRequest.Payload.JSONSchema} {
		if s.Value == "" && s.RefURL != "" {
			urls = append(urls, s.RefURL)
		}
	}
	return urls
}

// Versions returns the entries of a plugin in the agent's order, the newest
// first (pkg/plugin/store.go, newStoreRepositories).
func (ix *Index) Versions(t PluginType, name string) []*Entry {
	return ix.versions[pluginName{t, name}]
}

func (ix *Index) sortVersions() {
	ix.versions = map[pluginName][]*Entry{}
	for i := range ix.Entries {
		e := &ix.Entries[i]
		name := pluginName{e.Type, e.Name}
		ix.versions[name] = append(ix.versions[name], e)
	}
	for _, entries := range ix.versions {
		if len(entries) == 1 {
			continue
		}
		parsed := map[string]*version.Version{}
		for _, e := range entries {
			if v, err := version.NewVersion(e.Version); err == nil {
				parsed[e.Version] = v
			}
		}
		// The agent's unstable sort of the same input: what does not compare lands in the same
		// order.
		sort.Slice(entries, func(i, j int) bool {
			a, b := parsed[entries[i].Version], parsed[entries[j].Version]
			return a != nil && b != nil && a.GreaterThan(b)
		})
	}
}

// ReadIndex decodes and validates an index as the agent does (pkg/plugin/index.go,
// Index.Validate). With an error, which joins every reason, the agent refuses the index as a
// whole. The index then has what could be decoded, or is nil.
func ReadIndex(data []byte) (*Index, error) {
	_, ix, err := ReadIndexDocument(data)
	return ix, err
}

// ReadIndexDocument is [ReadIndex], and returns the document, too.
func ReadIndexDocument(data []byte) (*yaml.Node, *Index, error) {
	document, err := textfile.ParseYAML(data, maxMarks)
	if err != nil {
		return nil, nil, err
	}
	ix := new(Index)
	if err := textfile.DecodeYAML(document, ix); err != nil {
		return nil, nil, err
	}
	ix.sortVersions()
	return document, ix, ix.validate()
}

func (ix *Index) validate() error {
	var problems []error
	first := map[string]int{}
	for i, e := range ix.Entries {
		for _, err := range e.validate() {
			problems = append(problems, fmt.Errorf("entries[%d] (%s): %w", i, e.Label(), err))
		}
		if e.Type == "" || e.Name == "" || e.Version == "" {
			continue
		}
		key := string(e.Type) + ";" + e.Name + ";" + e.Version
		if j, taken := first[key]; taken {
			problems = append(problems, fmt.Errorf("entries[%d] (%s): same type, name and version as entries[%d]", i, e.Label(), j))
			continue
		}
		first[key] = i
	}
	return errors.Join(problems...)
}

// Label names an entry in a message, hostile names cut short.
func (e *Entry) Label() string {
	return fmt.Sprintf("%.24q %.40q %.24q", string(e.Type), e.Name, e.Version)
}

func (e *Entry) validate() []error {
	var problems []error
	for _, field := range [][2]string{{"name", e.Name}, {"type", string(e.Type)}, {"version", e.Version}} {
		if field[1] == "" {
			problems = append(problems, fmt.Errorf("%s is empty", field[0]))
		}
	}
	if e.Type != "" && !e.Type.Valid() {
		problems = append(problems, fmt.Errorf("type must be executor or source, not %.40q", string(e.Type)))
	}
	if len(e.URLs) == 0 {
		problems = append(problems, errors.New("urls is empty"))
	}
	for _, u := range e.URLs {
		for _, name := range slices.Sorted(maps.Keys(u.Dependencies)) {
			if u.Dependencies[name].URL == "" {
				problems = append(problems, fmt.Errorf("dependency %.40q for %.20s/%.20s has no url", name, u.Platform.OS, u.Platform.Arch))
			}
		}
	}
	return problems
}
