package index

import (
	"errors"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxNodes bounds a document whose aliases are written out: some hundred times
// the official indexes.
const maxNodes = 1 << 20

// expand returns a copy of a document in which aliases and merge keys are
// written out, so that changing one place changes no other.
func expand(document *yaml.Node) (*yaml.Node, error) {
	budget := maxNodes
	root, err := expandNode(document, &budget)
	if err != nil {
		return nil, err
	}
	return root.Content[0], nil
}

func expandNode(n *yaml.Node, budget *int) (*yaml.Node, error) {
	if *budget--; *budget < 0 {
		return nil, errors.New("the index unfolds to more than a million values")
	}
	if n.Kind == yaml.AliasNode {
		return expandNode(n.Alias, budget)
	}
	c := *n
	c.Anchor = ""
	if c.Style&yaml.FoldedStyle != 0 {
		// yaml.v3 writes folded text with lines that it did not have.
		c.Style = c.Style&^yaml.FoldedStyle | yaml.LiteralStyle
	}
	c.Content = make([]*yaml.Node, 0, len(n.Content))
	for _, child := range n.Content {
		expanded, err := expandNode(child, budget)
		if err != nil {
			return nil, err
		}
		c.Content = append(c.Content, expanded)
	}
	if c.Kind == yaml.MappingNode {
		writeOutMerges(&c)
	}
	return &c, nil
}

// writeOutMerges replaces the key << by what it brings; the mapping's own keys win.
func writeOutMerges(mapping *yaml.Node) {
	var merged []*yaml.Node
	var own []*yaml.Node
	for pair := range slices.Chunk(mapping.Content, 2) {
		key, value := pair[0], pair[1]
		if key.Tag != "!!merge" {
			own = append(own, key, value)
			continue
		}
		if value.Kind == yaml.SequenceNode {
			merged = append(merged, value.Content...)
		} else {
			merged = append(merged, value)
		}
	}
	mapping.Content = own
	has := map[string]bool{}
	for pair := range slices.Chunk(own, 2) {
		has[pair[0].Value] = true
	}
	for _, source := range merged {
		if source.Kind != yaml.MappingNode {
			continue
		}
		for pair := range slices.Chunk(source.Content, 2) {
			if key := pair[0].Value; !has[key] {
				has[key] = true
				mapping.Content = append(mapping.Content, pair...)
			}
		}
	}
}

// lookup returns the value of a mapping's key, or nil.
func lookup(mapping *yaml.Node, key string) *yaml.Node {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil
	}
	for pair := range slices.Chunk(mapping.Content, 2) {
		if pair[0].Value == key {
			return pair[1]
		}
	}
	return nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// scalar returns a string as decoding would, or "".
func scalar(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode || isNull(n) {
		return ""
	}
	return n.Value
}

// set gives a mapping's key a string value.
func set(mapping *yaml.Node, key, value string) {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
	if strings.Contains(value, "\n") {
		n.Style = yaml.LiteralStyle
	}
	setNode(mapping, key, n)
}

func setNode(mapping *yaml.Node, key string, value *yaml.Node) {
	for pair := range slices.Chunk(mapping.Content, 2) {
		if pair[0].Value == key {
			value.LineComment = pair[1].LineComment
			pair[1] = value
			return
		}
	}
	mapping.Content = append(mapping.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, value)
}

// merge adds the pairs of a mapping to another; a key that is there is replaced.
func merge(into, from *yaml.Node) {
	if from == nil || from.Kind != yaml.MappingNode {
		return
	}
	for pair := range slices.Chunk(from.Content, 2) {
		setNode(into, pair[0].Value, pair[1])
	}
}

func remove(mapping *yaml.Node, key string) {
	for i := 0; i < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			mapping.Content = slices.Delete(mapping.Content, i, i+2)
			return
		}
	}
}
