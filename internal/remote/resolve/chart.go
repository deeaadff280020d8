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

// IsChart reports whether a URL is below Botkube's own chart repository.
func IsChart(url string) bool { return strings.HasPrefix(url, chartRepository+"/") }

// maxChart is the largest size of a chart, in bytes. Botkube's charts are far smaller.
const maxChart = 20 << 20

// chart pins and stores the chart of the Botkube version, or the chart that the lock pins. If the user
// names another repository than the lock, it must have the same chart.
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
		return fault.New(fault.Usage, "--with-chart needs a Botkube version").WithHint("add --version v1.14.0")
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
			WithHint("write --with-chart without a URL to use the lock's chart; or write a new lock with botkube-mirror lock")
	}
	plan.Lock.Chart = cmp.Or(plan.Lock.Chart, chart)
	_, err = r.Store.Put(data)
	return err
}

func (r *Resolver) findChart(ctx context.Context, base *url.URL, version string) (chartVersion, error) {
	indexURL := base.JoinPath("index.yaml").String()
	data, err := r.Fetch.Document(ctx, indexURL, maxChartIndex, nil)
	if err != nil {
		return chartVersion{}, fmt.Errorf("index of the chart repository: %w", err)
	}
	versions, err := readChartIndex(data)
	if err != nil {
		return chartVersion{}, fault.New(fault.Integrity, "index of the chart repository %s: %w", agent.Redact(indexURL), err)
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
			what = "the value" // it may contain a password
		}
		return nil, fault.New(fault.Usage, "--with-chart: %s is not the URL of a chart repository", what).
			WithHint("write a URL like %s", chartRepository)
	}
	return u, nil
}

// find returns the chart of a Botkube version. Charts have the same versions as Botkube, with or
// without the "v".
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
		return chartVersion{}, fault.New(fault.Upstream, "there is no chart %q", chartName).WithHint("name another repository: --with-chart=URL")
	}
	return chartVersion{}, fault.New(fault.Upstream, "there is no chart %s %s; the repository has %s, …", chartName, bare, strings.Join(known, ", ")).
		WithHint("name another repository: --with-chart=URL; or leave out --with-chart")
}

// versionForm matches a version that is safe to print.
var versionForm = lazyregexp.New(`^[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$`)

func (r *Resolver) fetchChart(ctx context.Context, base *url.URL, e chartVersion) (*lock.Chart, []byte, error) {
	u, err := e.resolve(base, r.Fetch.Canonical)
	if err != nil {
		return nil, nil, err
	}
	chart := &lock.Chart{Name: chartName, Version: e.version, URL: agent.Redact(u.String()), VerifiedBy: lock.ByNone}
	if asked, err := url.Parse(r.Fetch.Instead(base.JoinPath("index.yaml").String())); err == nil && asked.Host == u.Host && asked.Host != base.Host {
		r.Note(fmt.Sprintf("the lock will name the chart's URL on the proxy, %s, because no --via rule matches it; for the original URL, add --via %s=%s",
			chart.URL, agent.Redact(base.JoinPath(path.Base(u.Path)).String()), agent.Redact(u.ResolveReference(&url.URL{Path: u.Path}).String())))
	}
	data, err := r.Fetch.Document(ctx, u.String(), maxChart, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("chart: %w", err)
	}
	chart.Blob = lock.Blob{Size: int64(len(data)), SHA256: lock.Sum(data)}
	if e.digest == "" {
		return chart, data, nil
	}
	want, err := lock.ParseSHA256(strings.TrimPrefix(e.digest, "sha256:"))
	if err != nil {
		return nil, nil, fault.New(fault.Integrity, "the chart repository has a malformed digest for %s %s: %.80q", chartName, e.version, e.digest)
	}
	if want != chart.SHA256 {
		return nil, nil, fault.New(fault.Integrity, "%s has sha256 %s, but the index of the chart repository has %s", chart.URL, chart.SHA256, want).
			WithHint("run the command again; if it fails again, report it to the chart's publisher")
	}
	chart.VerifiedBy = lock.ByIndex
	return chart, data, nil
}

// resolve returns the original URL of a chart: a proxy may have written its own URL into the index.
func (e chartVersion) resolve(base *url.URL, canonical func(*url.URL) *url.URL) (*url.URL, error) {
	if e.url == "" {
		return nil, fault.New(fault.Integrity, "the chart repository has no URL for %s %s", chartName, e.version)
	}
	ref, err := url.Parse(e.url)
	if err != nil {
		return nil, fault.New(fault.Integrity, "the chart repository has a malformed URL for %s %s", chartName, e.version)
	}
	if !strings.HasSuffix(base.Path, "/") {
		base = base.JoinPath("/")
	}
	u := canonical(base.ResolveReference(ref))
	if u.Scheme != "https" && u.Scheme != base.Scheme {
		return nil, fault.New(fault.Integrity, "the URL of %s %s in the chart repository is not https: %.200q", chartName, e.version, agent.Redact(u.String()))
	}
	return u, nil
}

func (r *Resolver) pinnedChart(ctx context.Context, pinned *lock.Chart) error {
	data, err := r.document(ctx, agent.Repository{URL: pinned.URL}, maxChart, "chart", &pinned.SHA256)
	if err != nil {
		return fmt.Errorf("chart: %w", err)
	}
	_, err = r.Store.Put(data)
	return err
}

const (
	// maxChartIndex is the largest size of a chart repository's index.yaml, in bytes.
	maxChartIndex = 8 << 20
	// maxMarks is how many values it may have: see [textfile.CheckYAMLSize]. Indexes that Helm writes
	// have about one for every thirty bytes.
	maxMarks = 1 << 18
)

// chartVersion has the fields of a chart in the index that are used here (Helm, pkg/repo/index.go,
// ChartVersion).
type chartVersion struct {
	version string
	// url is the first of the chart's URLs.
	url string
	// digest is a sha256 in hexadecimal digits, with or without the prefix.
	digest string
}

// readChartIndex reads an index.yaml from its nodes. Decoding it would take too long for a hostile
// index: it compares each key of a mapping with every other, and reports each value that does not fit.
func readChartIndex(data []byte) ([]chartVersion, error) {
	document, err := textfile.ParseYAML(data, maxMarks)
	if err != nil {
		return nil, err
	}
	if len(document.Content) == 0 {
		return nil, errors.New("the file is empty")
	}
	entries := value(document.Content[0], "entries")
	if entries == nil || entries.Kind != yaml.MappingNode {
		return nil, errors.New("entries is missing, or not a mapping")
	}
	listed := value(entries, chartName)
	if listed == nil {
		return nil, nil
	}
	if listed.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("line %d: entries.%s is not a list", listed.Line, chartName)
	}
	var versions []chartVersion
	for _, n := range listed.Content {
		if n.Kind != yaml.MappingNode {
			return nil, fmt.Errorf("line %d: an element of entries.%s is not a mapping", n.Line, chartName)
		}
		v := chartVersion{version: text(value(n, "version")), digest: text(value(n, "digest"))}
		if urls := value(n, "urls"); urls != nil && urls.Kind == yaml.SequenceNode && len(urls.Content) > 0 {
			v.url = text(urls.Content[0])
		}
		versions = append(versions, v)
	}
	return versions, nil
}

// value returns the value of a key in a mapping, or nil. It follows no aliases: Helm writes none.
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
