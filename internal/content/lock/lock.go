// Package lock reads, writes and compares locks. A lock is the JSON document that pins a mirror:
// every file for every platform, with its URL, size and digest, and the plugin indexes that name
// the files. All outputs of a mirror follow from its lock alone.
package lock

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// SchemaVersion is the version of the format that this package reads and writes.
const SchemaVersion = 1

// MaxSize is the largest lock that is read, in bytes.
const MaxSize = 16 << 20

// MaxSchema is the largest JSON schema that is read, in bytes.
const MaxSchema = 4 << 20

// Lock is a lock. Its slices are sorted: repositories by name, plugins by repository, type, name
// and version, artifacts and schemas by URL, and images by platform.
type Lock struct {
	SchemaVersion int `json:"schemaVersion"`
	// BotkubeVersion is the Botkube release whose default repositories were used. It is empty if
	// all repositories were named.
	BotkubeVersion string           `json:"botkubeVersion,omitempty"`
	Platforms      []agent.Platform `json:"platforms"`
	Repositories   []Repository     `json:"repositories"`
	Plugins        []Plugin         `json:"plugins"`
	Artifacts      []Artifact       `json:"artifacts"`
	// AgentImage, WatcherImage and Chart are the optional members of a bundle.
	AgentImage *Image `json:"agentImage,omitempty"`
	// WatcherImage is the image of the second container of charts v1.0.0 to v1.4.1. It is for the
	// same platforms as AgentImage. Locks of other versions do not have the field.
	WatcherImage *Image `json:"watcherImage,omitempty"`
	Chart        *Chart `json:"chart,omitempty"`
}

// Repository is a plugin repository. Index is the content of its index upstream.
type Repository struct {
	Name string `json:"name"`
	// URL has no user information.
	URL   string `json:"url"`
	Index Blob   `json:"index"`
	// Schemas are the documents at the URLs in jsonSchema.refURL of mirrored entries. The rewritten
	// index contains them inline.
	Schemas []Schema `json:"schemas,omitempty"`
}

// Blob identifies content by its size and its digest.
type Blob struct {
	// Size is in bytes.
	Size   int64  `json:"size"`
	SHA256 SHA256 `json:"sha256"`
}

// Schema is a JSON schema that an index refers to.
type Schema struct {
	URL string `json:"url"`
	Blob
}

// Plugin is an index entry that is mirrored.
type Plugin struct {
	Repository string           `json:"repository"`
	Type       agent.PluginType `json:"type"`
	Name       string           `json:"name"`
	Version    string           `json:"version"`
	Builds     []Build          `json:"builds"`
	// Templates are the sources of templates that the plugin reads on every platform. Only exec has
	// them.
	Templates []Template `json:"templates,omitempty"`
}

// Matches reports whether the plugin was made from an entry of a repository's index.
func (p Plugin) Matches(repository string, e *agent.Entry) bool {
	return p.Repository == repository && p.Type == e.Type && p.Name == e.Name && p.Version == e.Version
}

// Key returns the plugin's repository, name and version.
func (p Plugin) Key() agent.PluginKey {
	return agent.PluginKey{Repository: p.Repository, Name: p.Name, Version: p.Version}
}

// Binary returns the path of the plugin's binary in a cache directory.
func (p Plugin) Binary() string {
	return agent.BinaryPath(p.Repository, p.Type, p.Version, p.Name)
}

// Build is a plugin for one platform.
type Build struct {
	Platform agent.Platform `json:"platform"`
	// URL is the absolute URL of the binary in the form that the agent reads, with the
	// sub-directory and the parameters of go-getter.
	URL          string       `json:"url"`
	Dependencies []Dependency `json:"dependencies,omitempty"`
}

// Dependency is a program that a plugin runs.
type Dependency struct {
	Name string `json:"name"`
	// URL has the form of [Build.URL].
	URL string `json:"url"`
	// FromNewest means that only the entry of the plugin's newest version lists the dependency. The
	// agent needs it for every version (pkg/plugin/manager.go, loadPlugins).
	FromNewest bool `json:"fromNewest,omitempty"`
	// Replaces is set if URL is not from the index. It is the URL in the index, in the form of
	// [Build.URL], or [ReplacesNothing].
	Replaces string `json:"replaces,omitempty"`
}

// ReplacesNothing is the value of [Dependency.Replaces] if the index has no such dependency for the
// platform.
const ReplacesNothing = "nothing"

// Image is a container image for some or all of its platforms.
type Image struct {
	// Reference is the image's name upstream, with its tag: ghcr.io/kubeshop/botkube:v1.14.0.
	Reference string `json:"reference"`
	// Index is the image index upstream. It is set if the lock pins everything in it. Otherwise a
	// push makes a new index, which has another digest.
	Index     *ImageIndex     `json:"index,omitempty"`
	Manifests []ImageManifest `json:"manifests"`
}

// ImageIndex is the index of an image upstream. For an image without an index, it is the manifest.
type ImageIndex struct {
	// MediaType is the media type of an OCI index, a Docker manifest list, or a manifest.
	MediaType string `json:"mediaType"`
	SHA256    SHA256 `json:"sha256"`
	// Data is the content of the index. It is here because skopeo cannot read an OCI image layout
	// with an index in its index. It is empty for a manifest, which is a blob of the layout.
	Data []byte `json:"data,omitempty"`
	// Others are the manifests of the index that are not in [Image.Manifests], in the order of the
	// index: attestations, and images for platforms that the mirror does not have.
	Others []ImageManifest `json:"others,omitempty"`
}

// ImageManifest is an image for one platform.
type ImageManifest struct {
	// Platform is empty in [ImageIndex.Others].
	Platform agent.Platform `json:"platform,omitzero"`
	// MediaType is the media type of an OCI or a Docker image manifest.
	MediaType string `json:"mediaType"`
	Blob
	// Blobs are the configuration and the layers in the order of the manifest.
	Blobs []Blob `json:"blobs"`
}

// Chart is a Helm chart, a .tgz file.
type Chart struct {
	Name string `json:"name"`
	// Version is the version in Chart.yaml, with or without a "v".
	Version string `json:"version"`
	URL     string `json:"url"`
	Blob
	// VerifiedBy is ByIndex if the repository's index.yaml has the digest.
	VerifiedBy ChecksumSource `json:"verifiedBy"`
}

// Sort sorts all lists of the lock.
func (l *Lock) Sort() {
	slices.SortFunc(l.Platforms, agent.ComparePlatforms)
	slices.SortFunc(l.Repositories, func(a, b Repository) int { return strings.Compare(a.Name, b.Name) })
	for _, r := range l.Repositories {
		slices.SortFunc(r.Schemas, func(a, b Schema) int { return strings.Compare(a.URL, b.URL) })
	}
	slices.SortFunc(l.Plugins, comparePlugins)
	for _, p := range l.Plugins {
		slices.SortFunc(p.Builds, func(a, b Build) int { return agent.ComparePlatforms(a.Platform, b.Platform) })
		for _, b := range p.Builds {
			slices.SortFunc(b.Dependencies, func(a, b Dependency) int { return strings.Compare(a.Name, b.Name) })
		}
		slices.SortFunc(p.Templates, func(a, b Template) int { return strings.Compare(a.Directory, b.Directory) })
		for _, t := range p.Templates {
			slices.SortFunc(t.Files, func(a, b TemplateFile) int { return strings.Compare(a.Path, b.Path) })
		}
	}
	slices.SortFunc(l.Artifacts, func(a, b Artifact) int { return strings.Compare(a.URL, b.URL) })
	for _, a := range l.Artifacts {
		slices.Sort(a.VerifiedWith)
	}
	for _, im := range l.Images() {
		slices.SortFunc(im.Manifests, func(a, b ImageManifest) int { return agent.ComparePlatforms(a.Platform, b.Platform) })
	}
}

func comparePlugins(a, b Plugin) int {
	return cmp.Or(strings.Compare(a.Repository, b.Repository), strings.Compare(string(a.Type), string(b.Type)),
		strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version))
}

// IsTag reports whether a text is a valid tag in a registry (distribution-spec, "Pulling
// manifests").
func IsTag(s string) bool {
	const punctuation = ".-"
	return s != "" && len(s) <= 128 && !strings.ContainsAny(s[:1], punctuation) && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune("_"+punctuation, r)
	})
}

// Tag returns the tag of the mirror in a registry and on a site. It is the Botkube version with "_"
// instead of "+", as Helm writes it in tags. Without a Botkube version, it is made from
// [Lock.Digest].
func (l *Lock) Tag() (string, error) {
	if l.BotkubeVersion != "" {
		return versionTag(l.BotkubeVersion), nil
	}
	digest, err := l.Digest()
	if err != nil {
		return "", err
	}
	return "lock-" + digest.String()[:12], nil
}

// Digest identifies the mirrored plugins. It is the digest of the document of [Lock.PluginsOnly],
// which is the lock.json of a plugins directory.
func (l *Lock) Digest() (SHA256, error) {
	data, err := l.PluginsOnly().Marshal()
	return Sum(data), err
}

func versionTag(v string) string { return strings.ReplaceAll(v, "+", "_") }

// CompareReleases compares two mirrors by their Botkube versions. The newest comes first. Mirrors
// without a version come last, by their tags.
func CompareReleases(a, tagA, b, tagB string) int {
	x, errX := version.NewVersion(a)
	y, errY := version.NewVersion(b)
	switch {
	case errX == nil && errY == nil:
		return cmp.Or(y.Compare(x), strings.Compare(tagA, tagB))
	case errX == nil:
		return -1
	case errY == nil:
		return 1
	}
	return strings.Compare(tagA, tagB)
}

// Marshal returns the JSON document: sorted, indented, with a final newline. The same lock always
// gives the same bytes.
func (l *Lock) Marshal() ([]byte, error) {
	l.Sort()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(l); err != nil {
		return nil, fmt.Errorf("writing the lock: %w", err)
	}
	return buf.Bytes(), nil
}

// Parse reads a lock and checks it with [Lock.Check]. Unknown keys are errors, because decoding
// would drop them silently.
func Parse(data []byte) (*Lock, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("the lock has %d bytes; the limit is %d", len(data), MaxSize)
	}
	data, err := textfile.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("invalid lock: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	l := new(Lock)
	if err := dec.Decode(l); err != nil {
		var probe struct {
			SchemaVersion int    `json:"schemaVersion"`
			MediaType     string `json:"mediaType"`
		}
		known := json.Unmarshal(data, &probe) == nil
		if known && probe.MediaType != "" { // documents of OCI have schema version 2
			return nil, fmt.Errorf("it is a document of type %.100q, not a lock", probe.MediaType)
		}
		if known && probe.SchemaVersion > SchemaVersion {
			return nil, fmt.Errorf("the lock has schema version %d, but this program reads version %d", probe.SchemaVersion, SchemaVersion)
		}
		return nil, fmt.Errorf("invalid lock: %w", textfile.JSONError(data, err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("invalid lock: other data follows the document")
	}
	if err := l.Check(); err != nil {
		return nil, err
	}
	l.Sort()
	return l, nil
}

// ReadFile reads a lock from a file. It returns an error of kind [fault.Integrity] for an invalid
// lock, and of kind [fault.Usage] if the file cannot be read or is not a regular file.
func ReadFile(file string) (*Lock, error) {
	data, err := disk.ReadRegular(file, MaxSize)
	if err != nil {
		e := fault.New(fault.Usage, "reading the lock %s: %w", file, err)
		if near := disk.Similar(file); near != "" && errors.Is(err, fs.ErrNotExist) {
			return nil, e.WithHint("did you mean %s?", near)
		}
		return nil, e.WithHint("name a file that the command lock wrote")
	}
	return ParseNamed(data, file)
}

// ParseNamed is [Parse] with the name of the lock and a hint in the error.
func ParseNamed(data []byte, name string) (*Lock, error) {
	l, err := Parse(data)
	if err != nil {
		return nil, fault.New(fault.Integrity, "%s: %w", name, err).
			WithHint("copy the lock again, or write a new one with the command lock")
	}
	return l, nil
}
