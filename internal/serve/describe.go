package serve

import (
	"cmp"
	"net/netip"
	"net/url"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

// Serving describes what is served. It is the JSON result of the command serve: fields are not renamed
// or removed, see docs/reference/json-checks.md.
type Serving struct {
	Target string    `json:"target"`
	Kind   form.Kind `json:"kind"`
	// Address is the address of the listener: HOST:PORT.
	Address string `json:"address"`
	// Scheme is http or https.
	Scheme string `json:"scheme"`
	// BaseURL is the beginning of the URLs of indexes: the given one, or that of the address. It is
	// empty if the server listens on all interfaces and none was given.
	BaseURL string `json:"baseURL,omitempty"`
	// Metrics is the URL of the metrics, if they are served.
	Metrics string `json:"metrics,omitempty"`
	// Versions has the newest version first.
	Versions []ServedVersion `json:"versions"`
	// Ignored has the paths in a directory of bundles that are not bundles.
	Ignored []string `json:"ignored,omitempty"`
}

// ServedVersion is one version of what is served.
type ServedVersion struct {
	Tag string `json:"tag"`
	// Source is the path of its bundle, or of its directory in a site.
	Source         string           `json:"source"`
	BotkubeVersion string           `json:"botkubeVersion,omitempty"`
	Platforms      []agent.Platform `json:"platforms"`
	// Paths has the paths of the indexes below the base URL, by repository.
	Paths map[string]string `json:"paths"`
	// Indexes has the URLs of the indexes, if there is a base URL.
	Indexes map[string]string `json:"indexes,omitempty"`
	// Templates has the sources of templates for the executor exec.
	Templates []ServedTemplates `json:"templates,omitempty"`
}

// ServedTemplates is a source of templates that exec can download from the server.
type ServedTemplates struct {
	Plugin agent.PluginKey `json:"plugin"`
	// Ref is the source in exec's configuration without a mirror.
	Ref string `json:"ref"`
	// Path is the path below the base URL. It has the digest, which exec checks.
	Path string `json:"path"`
	// URL is the source to configure instead of Ref, if there is a base URL.
	URL string `json:"url,omitempty"`
}

// AnyBase is a placeholder for a base URL that is not known yet.
const AnyBase = "http://host"

// Describe describes what is served at an address. Base is the given base URL, or empty.
func (l *Library) Describe(target, address, scheme, base string) (*Serving, error) {
	serving := &Serving{
		Target: target, Kind: l.served.Kind, Address: address, Scheme: scheme, Ignored: l.ignored(),
		BaseURL: cmp.Or(base, baseOf(scheme, address)), Versions: []ServedVersion{},
	}
	for _, v := range l.versions() {
		d, err := describeVersion(v.Version, serving.BaseURL)
		if err != nil {
			return nil, err
		}
		serving.Versions = append(serving.Versions, d)
	}
	return serving, nil
}

// describeVersion describes a version. Its indexes have URLs if base is not empty.
func describeVersion(v *form.Version, base string) (ServedVersion, error) {
	d := ServedVersion{Tag: v.Tag, Source: v.Source, BotkubeVersion: v.Lock.BotkubeVersion, Platforms: v.Lock.Platforms}
	indexes, err := indexURLs(AnyBase, v.Lock)
	if err != nil {
		return d, err
	}
	d.Paths = map[string]string{}
	for name, u := range indexes {
		d.Paths[name] = strings.TrimPrefix(u, AnyBase)
	}
	templates, err := site.Templates(AnyBase, v.Lock)
	if err != nil {
		return d, err
	}
	for _, t := range templates {
		s := ServedTemplates{Plugin: t.Plugin, Ref: t.Ref, Path: strings.TrimPrefix(t.URL, AnyBase)}
		if base != "" {
			s.URL = base + s.Path
		}
		d.Templates = append(d.Templates, s)
	}
	if base != "" {
		d.Indexes, err = indexURLs(base, v.Lock)
	}
	return d, err
}

func indexURLs(base string, l *lock.Lock) (map[string]string, error) {
	urls := map[string]string{}
	for _, r := range l.Repositories {
		var err error
		if urls[r.Name], err = site.IndexURL(base, l, r.Name); err != nil {
			return nil, err
		}
	}
	return urls, nil
}

// baseOf returns the base URL of an address, or "" for the address of all interfaces.
func baseOf(scheme, address string) string {
	if a, err := netip.ParseAddrPort(address); err != nil || a.Addr().IsUnspecified() {
		return ""
	}
	return (&url.URL{Scheme: scheme, Host: address}).String()
}
