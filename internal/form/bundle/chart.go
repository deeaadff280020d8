package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/archive"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form/oci"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

const (
	maxChartMetadata = 1 << 20
	// maxMarks bounds the values of a Chart.yaml: see [textfile.CheckYAMLSize].
	maxMarks = 1 << 18
)

// chartMetadata is what Helm reads of a Chart.yaml, in its order (pkg/chart/metadata.go).
type chartMetadata struct {
	Name         string             `json:"name,omitempty" yaml:"name"`
	Home         string             `json:"home,omitempty" yaml:"home"`
	Sources      []string           `json:"sources,omitempty" yaml:"sources"`
	Version      string             `json:"version,omitempty" yaml:"version"`
	Description  string             `json:"description,omitempty" yaml:"description"`
	Keywords     []string           `json:"keywords,omitempty" yaml:"keywords"`
	Maintainers  []*chartMaintainer `json:"maintainers,omitempty" yaml:"maintainers"`
	Icon         string             `json:"icon,omitempty" yaml:"icon"`
	APIVersion   string             `json:"apiVersion,omitempty" yaml:"apiVersion"`
	Condition    string             `json:"condition,omitempty" yaml:"condition"`
	Tags         string             `json:"tags,omitempty" yaml:"tags"`
	AppVersion   string             `json:"appVersion,omitempty" yaml:"appVersion"`
	Deprecated   bool               `json:"deprecated,omitempty" yaml:"deprecated"`
	Annotations  map[string]string  `json:"annotations,omitempty" yaml:"annotations"`
	KubeVersion  string             `json:"kubeVersion,omitempty" yaml:"kubeVersion"`
	Dependencies []*chartDependency `json:"dependencies,omitempty" yaml:"dependencies"`
	Type         string             `json:"type,omitempty" yaml:"type"`
}

type chartMaintainer struct {
	Name  string `json:"name,omitempty" yaml:"name"`
	Email string `json:"email,omitempty" yaml:"email"`
	URL   string `json:"url,omitempty" yaml:"url"`
}

// chartDependency is Helm's (pkg/chart/dependency.go).
type chartDependency struct {
	Name         string   `json:"name" yaml:"name"`
	Version      string   `json:"version,omitempty" yaml:"version"`
	Repository   string   `json:"repository" yaml:"repository"`
	Condition    string   `json:"condition,omitempty" yaml:"condition"`
	Tags         []string `json:"tags,omitempty" yaml:"tags"`
	Enabled      bool     `json:"enabled,omitempty" yaml:"enabled"`
	ImportValues []any    `json:"import-values,omitempty" yaml:"import-values"`
	Alias        string   `json:"alias,omitempty" yaml:"alias"`
}

// fillChart makes the manifest that helm push would, without a date.
func (c *Contents) fillChart(ctx context.Context, d *Document) error {
	meta, err := c.chartMetadata(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", agent.Redact(c.Lock.Chart.URL), err)
	}
	// As Helm does, for < and > in it become escapes.
	config, err := json.Marshal(meta)
	if err != nil {
		return fault.New(fault.Integrity, "its Chart.yaml cannot be written as JSON: %w", err)
	}
	if len(config) > oci.MaxDocument {
		return fault.New(fault.Integrity, "its Chart.yaml has more than the maximum of %d bytes as JSON", oci.MaxDocument)
	}
	d.Blobs[0] = oci.BlobOf(config)
	c.made[d.Blobs[0].SHA256] = config
	d.Data, err = oci.Encode(v1.Manifest{
		SchemaVersion: 2,
		Config:        oci.Describe(ChartConfigType, d.Blobs[0]),
		Layers:        []v1.Descriptor{oci.Describe(ChartType, d.Blobs[1])},
		Annotations:   meta.ociAnnotations(),
	})
	return err
}

func (c *Contents) chartMetadata(ctx context.Context) (*chartMetadata, error) {
	chart := c.Lock.Chart
	if err := c.blobs.Verify(ctx, chart.SHA256); err != nil {
		return nil, err
	}
	tgz, err := c.blobs.Open(chart.SHA256)
	if err != nil {
		return nil, err
	}
	defer tgz.Close()
	if size, err := tgz.Seek(0, io.SeekEnd); err != nil || size != chart.Size {
		return nil, errors.Join(err, fault.New(fault.Integrity, "the chart has %d bytes, but the lock says %d", size, chart.Size))
	}
	if _, err := tgz.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	text := new(boundedText)
	// The directory is a pattern to Extract.
	member := agent.Member{Dir: lock.EscapePattern(chart.Name), Name: "Chart.yaml"}
	if _, err := archive.Extract(ctx, tgz, "tgz", member, archive.Limits{}, text); err != nil {
		return nil, err
	}
	meta := new(chartMetadata)
	document, err := textfile.ParseYAML(text.data, maxMarks)
	if err == nil {
		err = textfile.DecodeYAML(document, meta)
	}
	if err != nil {
		// The first of what may be very many.
		reason, _, _ := strings.Cut(err.Error(), "\n")
		return nil, fault.New(fault.Integrity, "its Chart.yaml cannot be read: %s", sanitizeText(oci.Clip(reason)))
	}
	meta.sanitize()
	if meta.Name != chart.Name || meta.Version != chart.Version {
		return nil, fault.New(fault.Integrity, "its Chart.yaml is for %q %q, but the lock says %q %q",
			oci.Clip(meta.Name), oci.Clip(meta.Version), chart.Name, chart.Version)
	}
	return meta, nil
}

// boundedText receives a document of at most maxChartMetadata bytes.
type boundedText struct{ data []byte }

func (t *boundedText) Write(p []byte) (int, error) {
	if len(t.data)+len(p) > maxChartMetadata {
		return 0, fault.New(fault.Integrity, "its Chart.yaml has more than the maximum of %d bytes", maxChartMetadata)
	}
	t.data = append(t.data, p...)
	return len(p), nil
}

func (t *boundedText) Reset() error {
	t.data = nil
	return nil
}

// sanitize does what Helm does when it loads a chart (Metadata.Validate).
func (m *chartMetadata) sanitize() {
	for _, s := range []*string{&m.Name, &m.Description, &m.Home, &m.Icon, &m.Condition, &m.Tags, &m.AppVersion, &m.KubeVersion} {
		*s = sanitizeText(*s)
	}
	for _, list := range [][]string{m.Sources, m.Keywords} {
		for i := range list {
			list[i] = sanitizeText(list[i])
		}
	}
	m.Maintainers = slices.DeleteFunc(m.Maintainers, func(p *chartMaintainer) bool { return p == nil })
	for _, p := range m.Maintainers {
		p.Name, p.Email, p.URL = sanitizeText(p.Name), sanitizeText(p.Email), sanitizeText(p.URL)
	}
	m.Dependencies = slices.DeleteFunc(m.Dependencies, func(d *chartDependency) bool { return d == nil })
	if m.APIVersion == "" {
		m.APIVersion = "v1"
	}
}

// sanitizeText is Helm's sanitizeString.
func sanitizeText(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsPrint(r):
			return r
		}
		return -1
	}, s)
}

// ociAnnotations returns the annotations that Helm makes (pkg/registry/util.go,
// generateOCIAnnotations), except for the date of the push.
func (m *chartMetadata) ociAnnotations() map[string]string {
	annotations := map[string]string{}
	add := func(key, value string) {
		if strings.TrimSpace(value) != "" {
			annotations[key] = value
		}
	}
	add("org.opencontainers.image.description", m.Description)
	add(oci.TitleAnnotation, m.Name)
	add(oci.VersionAnnotation, m.Version)
	add("org.opencontainers.image.url", m.Home)
	if len(m.Sources) > 0 {
		add("org.opencontainers.image.source", m.Sources[0])
	}
	var authors []string
	for _, p := range m.Maintainers {
		author := p.Name
		if p.Email != "" {
			author += " (" + p.Email + ")"
		}
		authors = append(authors, author)
	}
	add("org.opencontainers.image.authors", strings.Join(authors, ", "))
	for key, value := range m.Annotations {
		if key != oci.TitleAnnotation && key != oci.VersionAnnotation {
			annotations[key] = value
		}
	}
	return annotations
}
