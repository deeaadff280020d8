package textfile

import (
	"errors"
	"fmt"

	"gopkg.in/yaml.v3"
)

const (
	// maxKeys bounds the keys of a mapping, which decoding compares with each other.
	maxKeys = 1_000
	// maxComparisons bounds those comparisons of a document.
	maxComparisons = 10_000_000
	// maxRepeated bounds keys that stand twice, since decoding describes each pair of them.
	maxRepeated = 100
)

// ParseYAML returns the first document, if [CheckYAMLSize] lets it pass.
func ParseYAML(data []byte, maxMarks int) (*yaml.Node, error) {
	if err := CheckYAMLSize(data, maxMarks); err != nil {
		return nil, err
	}
	document := new(yaml.Node)
	if err := yaml.Unmarshal(data, document); err != nil {
		return nil, YAMLError(err)
	}
	return document, nil
}

// DecodeYAML decodes a document as [yaml.Node.Decode] does, unless that would take too long.
func DecodeYAML(document *yaml.Node, into any) error {
	if err := CheckYAMLKeys(document); err != nil {
		return err
	}
	if err := document.Decode(into); err != nil {
		return YAMLError(err)
	}
	return nil
}

// CheckYAMLSize refuses data with more than maxMarks marks, before it fills the memory. A mark
// may begin a value, and at least every third value has one: brackets, commas, colons, hyphens
// and question marks before a space. A value takes 200 bytes of memory, but as few as two in
// data.
func CheckYAMLSize(data []byte, maxMarks int) error {
	if countMarks(data) > maxMarks {
		return fmt.Errorf("it is too large: it may have more than the maximum of %d values", maxMarks)
	}
	return nil
}

func countMarks(data []byte) (n int) {
	for i, c := range data {
		switch c {
		case '[', '{', ',', ':':
			n++
		case '-', '?':
			// The next line may be far, and in UTF-16, or behind a break of Unicode's.
			if i+1 == len(data) || data[i+1] <= ' ' || data[i+1] >= 0x80 {
				n++
			}
		}
	}
	return n
}

// CheckYAMLKeys refuses what would keep the decoder busy for hours: it compares each key of a
// mapping with every other, and describes each pair of the same. One key written 20 000 times,
// in 60 KB, takes 20 GB.
func CheckYAMLKeys(document *yaml.Node) error {
	return new(keyCount).count(document)
}

type keyCount struct{ comparisons, repeated int }

func (c *keyCount) count(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		if err := c.mapping(n); err != nil {
			return err
		}
	}
	for _, child := range n.Content {
		if err := c.count(child); err != nil {
			return err
		}
	}
	return nil
}

func (c *keyCount) mapping(n *yaml.Node) error {
	keys := len(n.Content) / 2
	if keys > maxKeys {
		return fmt.Errorf("yaml: line %d: a mapping has %d keys, but the maximum is %d", n.Line, keys, maxKeys)
	}
	seen := make(map[string]bool, keys)
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i].Value
		if seen[key] {
			c.repeated++
		}
		seen[key] = true
	}
	c.comparisons += keys * keys / 2
	if c.comparisons > maxComparisons || c.repeated > maxRepeated {
		return errors.New("yaml: too many keys, or too many duplicate keys")
	}
	return nil
}
