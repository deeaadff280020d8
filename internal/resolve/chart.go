package resolve

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/botkube-mirror/botkube-mirror/internal/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lock"
)

// The Helm chart of Botkube.
const (
	chartRepository = "https://charts.botkube.io"
	chartName       = "botkube"
)

const (
	// maxChartIndex bounds, in bytes, the index.yaml of a chart repository.
	maxChartIndex = 32 << 20
	// maxChart bounds, in bytes, a chart: Helm itself reads no more of one in a
	// registry (pkg/chart/loader, MaxDecompressedChartSize, is larger).
	maxChart = 20 << 20
)

// chartIndex is what matters of a chart repository's index.yaml (Helm,
// pkg/repo/index.go, IndexFile).
type chartIndex struct {
	Entries map[string][]chartVersion `yaml:"entries"`
}

type chartVersion struct {
	Version string   `yaml:"version"`
	URLs    []string `yaml:"urls"`
	// Digest is a sha256 in hexadecimal digits, with or without the prefix.
	Digest string `yaml:"digest"`
}

// chart pins the chart of the plan's Botkube version, and stores it: it is small.
func (r *Resolver) chart(ctx context.Context, req Request, plan *Plan) error {
	if req.Lock != nil && req.Lock.Chart != nil {
		return r.pinnedChart(ctx, req.Lock.Chart, plan)
	}
	if req.Version == "" {
		return fault.New(fault.Usage, "which chart is wanted cannot be told without a Botkube version").WithHint("give --version")
	}
	base, err := chartBase(req.Members.Chart)
	if err != nil {
		return err
	}
	indexURL := base.JoinPath("index.yaml").String()
	data, _, err := r.Fetch.Document(ctx, indexURL, maxChartIndex)
	if err != nil {
		return fmt.Errorf("reading the index of the chart repository: %w", err)
	}
	var index chartIndex
	if err := yaml.Unmarshal(data, &index); err != nil {
		return fault.New(fault.Integrity, "reading the index of the chart repository %s: %w", agent.Redact(indexURL), err)
	}
	entry, err := index.find(req.Version)
	if err != nil {
		return fmt.Errorf("the chart repository %s: %w", agent.Redact(indexURL), err)
	}
	return r.fetchChart(ctx, base, entry, plan)
}

// chartBase reads the URL of a chart repository, or of its index.yaml.
func chartBase(raw string) (*url.URL, error) {
	if raw == Default {
		raw = chartRepository
	}
	u, err := url.Parse(strings.TrimSuffix(raw, "index.yaml"))
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return nil, fault.New(fault.Usage, "%q is not the URL of a chart repository", agent.Redact(raw)).
			WithHint("give one of the form %s", chartRepository)
	}
	return u, nil
}

// find returns the chart of a Botkube version. Charts are versioned like Botkube,
// with and without the "v".
func (ix chartIndex) find(version string) (chartVersion, error) {
	bare := strings.TrimPrefix(version, "v")
	var known []string
	for _, e := range ix.Entries[chartName] {
		if strings.TrimPrefix(e.Version, "v") == bare {
			return e, nil
		}
		if len(known) < 5 {
			known = append(known, e.Version)
		}
	}
	if len(known) == 0 {
		return chartVersion{}, fault.New(fault.Upstream, "it has no chart %q", chartName).WithHint("name another repository: --with-chart=URL")
	}
	return chartVersion{}, fault.New(fault.Upstream, "it has no chart %s in version %s; it has %s, …", chartName, bare, strings.Join(known, ", ")).
		WithHint("name another repository, --with-chart=URL, or leave the chart out")
}

// fetchChart downloads a chart and compares it with its digest.
func (r *Resolver) fetchChart(ctx context.Context, base *url.URL, e chartVersion, plan *Plan) error {
	if len(e.URLs) == 0 {
		return fault.New(fault.Integrity, "the chart repository gives no URL for %s %s", chartName, e.Version)
	}
	ref, err := url.Parse(e.URLs[0])
	if err != nil {
		return fault.New(fault.Integrity, "the chart repository gives a malformed URL for %s %s", chartName, e.Version)
	}
	if !strings.HasSuffix(base.Path, "/") {
		base = base.JoinPath("/")
	}
	u := base.ResolveReference(ref)
	if u.Scheme != "https" && u.Scheme != base.Scheme {
		return fault.New(fault.Integrity, "the chart repository gives %s for %s %s, which is not to be trusted", agent.Redact(u.String()), chartName, e.Version)
	}
	chart := lock.Chart{Name: chartName, Version: e.Version, URL: agent.Redact(u.String()), VerifiedBy: lock.ByNone}
	data, _, err := r.Fetch.Document(ctx, u.String(), maxChart)
	if err != nil {
		return fmt.Errorf("downloading the chart: %w", err)
	}
	chart.Blob = lock.Blob{Size: int64(len(data)), SHA256: lock.Sum(data)}
	if e.Digest != "" {
		want, err := lock.ParseSHA256(strings.TrimPrefix(e.Digest, "sha256:"))
		if err != nil {
			return fault.New(fault.Integrity, "the chart repository gives a malformed digest for %s %s: %w", chartName, e.Version, err)
		}
		if want != chart.SHA256 {
			return fault.New(fault.Integrity, "%s has sha256 %s, but the chart repository says %s", chart.URL, chart.SHA256, want).
				WithHint("run it again; if it stays so, tell whoever publishes the chart")
		}
		chart.VerifiedBy = lock.ByIndex
	}
	if _, err := r.Store.Put(data); err != nil {
		return err
	}
	plan.Lock.Chart = &chart
	return nil
}

// pinnedChart takes the chart that a lock pins.
func (r *Resolver) pinnedChart(ctx context.Context, pinned *lock.Chart, plan *Plan) error {
	chart := *pinned
	if chart.VerifiedBy == lock.ByNone {
		chart.VerifiedBy = lock.ByLock
	}
	plan.Lock.Chart = &chart
	if _, ok := r.Store.Has(chart.SHA256); ok {
		return nil
	}
	data, _, err := r.Fetch.Document(ctx, chart.URL, maxChart)
	if err != nil {
		return fmt.Errorf("downloading the chart: %w", err)
	}
	if got := lock.Sum(data); got != chart.SHA256 {
		return fault.New(fault.Integrity, "%s has sha256 %s, but the lock pins %s", chart.URL, got, chart.SHA256).
			WithHint("upstream changed the chart since the lock was written: write a new one with the command lock, and look at what differs")
	}
	_, err = r.Store.Put(data)
	return err
}
