package resolve

import (
	"errors"
	"fmt"

	"gopkg.in/yaml.v3"

	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

const (
	// maxChartIndex bounds, in bytes, the index.yaml of a chart repository.
	maxChartIndex = 8 << 20
	// maxMarks bounds its values: see [textfile.CheckYAMLSize]. Helm's own have a mark
	// for every thirty bytes.
	maxMarks = 1 << 18
)

// chartVersion is what matters of a version of a chart (Helm,
// pkg/repo/index.go, ChartVersion).
type chartVersion struct {
	version string
	// url is the first of several.
	url string
	// digest is a sha256 in hexadecimal digits, with or without the prefix.
	digest string
}

// readChartIndex returns the versions of Botkube's chart in a repository's
// index.yaml. It takes the document apart itself: decoding compares each key of
// a mapping with every other, and describes each value that does not fit.
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

// value returns what a mapping has under a key, or nil. Aliases are not
// followed: Helm writes none.
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

// text returns a scalar, or "".
func text(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}
