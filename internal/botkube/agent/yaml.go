package agent

import (
	"errors"
	"fmt"

	"gopkg.in/yaml.v3"

	"github.com/botkube-mirror/botkube-mirror/internal/legible"
)

const (
	// maxMarks bounds the characters of an index that may begin a value: see
	// [CountYAMLMarks]. It is fifty for each of 10 000 entries; official indexes have
	// some thousand in all.
	maxMarks = 1 << 19
	// maxKeys bounds the keys of a mapping, which decoding compares with each other.
	maxKeys = 1_000
	// maxComparisons bounds those comparisons of a document.
	maxComparisons = 10_000_000
	// maxRepeated bounds the keys of a document that stand twice, since decoding
	// describes each pair of them.
	maxRepeated = 100
)

// decodeYAML decodes a document, unless that would take too long or too much memory. what
// names the document in an error.
func decodeYAML(data []byte, what string, into any) error {
	if CountYAMLMarks(data) > maxMarks {
		return fmt.Errorf("%s may have more than the %d values that are read", what, maxMarks)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return legible.YAMLError(err)
	}
	if err := CheckYAMLKeys(&document); err != nil {
		return err
	}
	if err := document.Decode(into); err != nil {
		return legible.YAMLError(err)
	}
	return nil
}

// CountYAMLMarks counts what may begin a value of a YAML document, at least one for
// every three of them: they follow brackets, commas, colons, and hyphens and
// question marks before a space. A value takes two hundred bytes of memory, but
// as few as two in the document.
func CountYAMLMarks(data []byte) (n int) {
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

// CheckYAMLKeys refuses what would keep the decoder busy for hours or fill the
// memory: it compares each key of a mapping with every other, and describes each
// pair of the same, so that one key written 20 000 times, in 60 KB, takes 20 GB.
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
		return fmt.Errorf("yaml: line %d: a mapping has %d keys; at most %d are read", n.Line, keys, maxKeys)
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
		return errors.New("yaml: too many keys, or too many that stand twice")
	}
	return nil
}
