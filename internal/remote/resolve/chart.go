package resolve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// The Helm chart of Botkube.
const (
	chartRepository = "https://charts.botkube.io"
	chartName       = "botkube"
)

// IsChart reports whether a URL is of a chart that Botkube publishes.
func IsChart(url string) bool { return strings.HasPrefix(url, chartRepository+"/") }

// maxChart bounds, in bytes, a chart: Helm itself reads no more of one in a
// registry (pkg/chart/loader, MaxDecompressedChartSize, is larger).
const maxChart = 20 << 20

// chart pins and stores the chart of the version, or takes the one that a lock pins. If another
// repository is named, that must have the same.
func (r *Resolver) chart(ctx context.Context, sel Selection, plan *Plan) error {
	if sel.Members.Chart == "" {
		return nil
	}
	version := sel.Version
	var pinned *lock.Chart
	if sel.pinned != nil && sel.pinned.Chart != nil {
		pinned = sel.pinned.Chart
		plan.Lock.Chart = new(*pinned)
		if sel.Members.Chart == Default || sel.Members.Chart == pinned.URL {
			return r.pinnedChart(ctx, pinned)
		}
		version = cmp.Or(version, pinned.Version)
	}
	if version == "" {
		return fault.New(fault.Usage, "which chart is wanted cannot be told without a Botkube version").WithHint("give --version")
	}
	base, err := chartBase(sel.Members.Chart)
	if err != nil {
		return err
	}
	entry, err := r.findChart(ctx, base, version)
	if err != nil {
		return err
	}
	chart, data, err := r.fetchChart(ctx, base, entry)
	if err != nil {
		return err
	}
	if pinned != nil && (chart.SHA256 != pinned.SHA256 || chart.Version != pinned.Version) {
		return fault.New(fault.Integrity, "%s is chart version %s with sha256 %s, but the lock pins version %s with sha256 %s",
			chart.URL, chart.Version, chart.SHA256, pinned.Version, pinned.SHA256).
			WithHint("leave out --with-chart: the lock says which; or write a new one with the command lock")
	}
	plan.Lock.Chart = cmp.Or(plan.Lock.Chart, chart)
	_, err = r.Store.Put(data)
	return err
}

func (r *Resolver) findChart(ctx context.Context, base *url.URL, version string) (chartVersion, error) {
	indexURL := base.JoinPath("index.yaml").String()
	data, err := r.Fetch.Document(ctx, indexURL, maxChartIndex, nil)
	if err != nil {
		return chartVersion{}, fmt.Errorf("reading the index of the chart repository: %w", err)
	}
	versions, err := readChartIndex(data)
	if err != nil {
		return chartVersion{}, fault.New(fault.Integrity, "reading the index of the chart repository %s: %w", agent.Redact(indexURL), err)
	}
	entry, err := find(versions, version)
	if err != nil {
		return chartVersion{}, fmt.Errorf("the chart repository %s: %w", agent.Redact(indexURL), err)
	}
	return entry, nil
}

// chartBase reads the URL of a chart repository, or of its index.yaml.
func chartBase(raw string) (*url.URL, error) {
	if raw == Default {
		raw = chartRepository
	}
	u, err := url.Parse(strings.TrimSuffix(raw, "index.yaml"))
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		what := strconv.Quote(agent.Redact(raw))
		if strings.Contains(raw, "@") {
			what = "what is given" // before the @ may be a password, wherever it stands
		}
		return nil, fault.New(fault.Usage, "%s is not the URL of a chart repository", what).
			WithHint("give one of the form %s", chartRepository)
	}
	return u, nil
}

// Charts are versioned like Botkube, with and without the "v".
func find(versions []chartVersion, version string) (chartVersion, error) {
	bare := strings.TrimPrefix(version, "v")
	var known []string
	for _, e := range versions {
		if strings.TrimPrefix(e.version, "v") == bare {
			return e, nil
		}
		if len(known) < 5 && versionForm.MatchString(e.version) {
			known = append(known, e.version)
		}
	}
	if len(known) == 0 {
		return chartVersion{}, fault.New(fault.Upstream, "it has no chart %q", chartName).WithHint("name another repository: --with-chart=URL")
	}
	return chartVersion{}, fault.New(fault.Upstream, "it has no chart %s in version %s; it has %s, …", chartName, bare, strings.Join(known, ", ")).
		WithHint("name another repository, --with-chart=URL, or leave the chart out")
}

// versionForm is what may be shown of what an index calls a version.
var versionForm = lazyregexp.New(`^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$`)

func (r *Resolver) fetchChart(ctx context.Context, base *url.URL, e chartVersion) (*lock.Chart, []byte, error) {
	u, err := e.resolve(base, r.Fetch.Canonical)
	if err != nil {
		return nil, nil, err
	}
	chart := &lock.Chart{Name: chartName, Version: e.version, URL: agent.Redact(u.String()), VerifiedBy: lock.ByNone}
	if asked, err := url.Parse(r.Fetch.Instead(base.JoinPath("index.yaml").String())); err == nil && asked.Host == u.Host && asked.Host != base.Host {
		r.Note(fmt.Sprintf("the index of the chart repository has the chart at %s, and no --via rule covers that URL, so the lock names that server; to have the lock name the chart's own URL, add --via %s=%s",
			chart.URL, agent.Redact(base.JoinPath(path.Base(u.Path)).String()), agent.Redact(u.ResolveReference(&url.URL{Path: u.Path}).String())))
	}
	data, err := r.Fetch.Document(ctx, u.String(), maxChart, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("downloading the chart: %w", err)
	}
	chart.Blob = lock.Blob{Size: int64(len(data)), SHA256: lock.Sum(data)}
	if e.digest == "" {
		return chart, data, nil
	}
	want, err := lock.ParseSHA256(strings.TrimPrefix(e.digest, "sha256:"))
	if err != nil {
		return nil, nil, fault.New(fault.Integrity, "the chart repository gives a malformed digest for %s %s: %.80q", chartName, e.version, e.digest)
	}
	if want != chart.SHA256 {
		return nil, nil, fault.New(fault.Integrity, "%s has sha256 %s, but the chart repository says %s", chart.URL, chart.SHA256, want).
			WithHint("run it again; if it stays so, tell whoever publishes the chart")
	}
	chart.VerifiedBy = lock.ByIndex
	return chart, data, nil
}

// resolve returns the URL of a chart. A proxy may have written its own into the index.
func (e chartVersion) resolve(base *url.URL, canonical func(*url.URL) *url.URL) (*url.URL, error) {
	if e.url == "" {
		return nil, fault.New(fault.Integrity, "the chart repository gives no URL for %s %s", chartName, e.version)
	}
	ref, err := url.Parse(e.url)
	if err != nil {
		return nil, fault.New(fault.Integrity, "the chart repository gives a malformed URL for %s %s", chartName, e.version)
	}
	if !strings.HasSuffix(base.Path, "/") {
		base = base.JoinPath("/")
	}
	u := canonical(base.ResolveReference(ref))
	if u.Scheme != "https" && u.Scheme != base.Scheme {
		return nil, fault.New(fault.Integrity, "the chart repository gives %.200q for %s %s, which is not to be trusted", agent.Redact(u.String()), chartName, e.version)
	}
	return u, nil
}

func (r *Resolver) pinnedChart(ctx context.Context, pinned *lock.Chart) error {
	data, err := r.document(ctx, agent.Repository{URL: pinned.URL}, maxChart, "chart", &pinned.SHA256)
	if err != nil {
		return fmt.Errorf("downloading the chart: %w", err)
	}
	_, err = r.Store.Put(data)
	return err
}

const (
	// maxChartIndex bounds, in bytes, the index.yaml of a chart repository.
	maxChartIndex = 8 << 20
	// maxMarks bounds its values: see [textfile.CheckYAMLSize]. Helm's own have a mark
	// for every thirty bytes.
	maxMarks = 1 << 18
)

// chartVersion is what matters of one (Helm, pkg/repo/index.go, ChartVersion).
type chartVersion struct {
	version string
	// url is the first of several.
	url string
	// digest is a sha256 in hexadecimal digits, with or without the prefix.
	digest string
}

// readChartIndex takes an index.yaml apart itself: decoding compares each key of a mapping with
// every other, and describes each value that does not fit.
func readChartIndex(data []byte) ([]chartVersion, error) {
	document, err := textfile.ParseYAML(data, maxMarks)
	if err != nil {
		return nil, err
	}
	if len(document.Content) == 0 {
		return nil, errors.New("it is empty")
	}
	entries := value(document.Content[0], "entries")
	if entries == nil || entries.Kind != yaml.MappingNode {
		return nil, errors.New("it has no mapping entries")
	}
	listed := value(entries, chartName)
	if listed == nil {
		return nil, nil
	}
	if listed.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("line %d: entries.%s is no sequence", listed.Line, chartName)
	}
	var versions []chartVersion
	for _, n := range listed.Content {
		if n.Kind != yaml.MappingNode {
			return nil, fmt.Errorf("line %d: an element of entries.%s is no mapping", n.Line, chartName)
		}
		v := chartVersion{version: text(value(n, "version")), digest: text(value(n, "digest"))}
		if urls := value(n, "urls"); urls != nil && urls.Kind == yaml.SequenceNode && len(urls.Content) > 0 {
			v.url = text(urls.Content[0])
		}
		versions = append(versions, v)
	}
	return versions, nil
}

// value returns what a mapping has under a key, or nil. Helm writes no aliases.
func value(mapping *yaml.Node, key string) *yaml.Node {
	if mapping.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

func text(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}
