package index

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// Rewritten says what a rewritten index holds of one entry.
type Rewritten struct {
	// Builds are the platforms that remain, with their URLs and the dependencies that remain.
	Builds map[agent.Platform]agent.Build
	// Schemas has the text of each of [agent.Entry.RefURLs].
	Schemas map[string]string
}

// Rewrite returns the index with only the entries for which replace returns a
// replacement. Every other key stays as upstream wrote it; the values of JSON
// schemas stay byte for byte. The result passes [Parse].
func (ix *Index) Rewrite(replace func(*agent.Entry) (Rewritten, bool)) ([]byte, error) {
	root := ix.document.Content[0]
	if entries := lookup(root, "entries"); entries != nil && entries.Kind == yaml.SequenceNode {
		// Decoding passes over what is null.
		all := slices.DeleteFunc(slices.Clone(entries.Content), isNull)
		if len(all) != len(ix.Entries) {
			return nil, fmt.Errorf("the index has %d entries, and only %d can be read", len(all), len(ix.Entries))
		}
		kept := *entries
		kept.Content = nil
		for i, node := range all {
			r, keep := replace(&ix.Entries[i])
			if !keep {
				continue
			}
			rewritten, err := rewriteEntry(node, r)
			if err != nil {
				return nil, fmt.Errorf("entries[%d] (%s): %w", i, ix.Entries[i].Label(), err)
			}
			kept.Content = append(kept.Content, rewritten)
		}
		root = with(root, "entries", &kept)
	}
	out, err := encode(root, encodedAtOnce)
	if err != nil {
		return nil, err
	}
	if _, err := Parse(out); err != nil {
		return nil, fmt.Errorf("the rewritten index is not valid: %w", err)
	}
	return out, nil
}

// encodedAtOnce is how many entries are encoded at once: yaml.v3 keeps each event of a
// document, of 400 bytes, until its end (emitterc.go, yaml_emitter_emit).
const encodedAtOnce = 100

// encode writes an index in parts: what comes before the entries with the first of them,
// the others, and the rest. After a comment below something, yaml.v3 adds an empty line. So an index
// with such a comment is written in one part, and so is a list in brackets.
func encode(root *yaml.Node, atOnce int) ([]byte, error) {
	entries := lookup(root, "entries")
	var out bytes.Buffer
	if entries == nil || len(entries.Content) <= atOnce || entries.Style&yaml.FlowStyle != 0 || root.Style&yaml.FlowStyle != 0 || hasFootComment(root) {
		err := encodeTo(&out, root)
		return out.Bytes(), err
	}
	at := slices.Index(root.Content, entries)
	part := *root
	for some := range slices.Chunk(entries.Content, atOnce) {
		list := *entries
		list.Content = some
		part.Content = append(slices.Clone(root.Content[:at]), &list)
		if out.Len() == 0 {
			if err := encodeTo(&out, &part); err != nil {
				return nil, err
			}
			continue
		}
		var more bytes.Buffer
		if err := encodeTo(&more, &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{text("entries"), &list}}); err != nil {
			return nil, err
		}
		_, items, _ := bytes.Cut(more.Bytes(), []byte("\n"))
		out.Write(items)
	}
	var err error
	if part.Content = root.Content[at+1:]; len(part.Content) > 0 {
		part.HeadComment = ""
		err = encodeTo(&out, &part)
	}
	return out.Bytes(), err
}

func encodeTo(out *bytes.Buffer, n *yaml.Node) error {
	enc := yaml.NewEncoder(out)
	enc.SetIndent(4) // as Botkube's index builder writes
	return errors.Join(enc.Encode(n), enc.Close())
}

func hasFootComment(n *yaml.Node) bool {
	return n.FootComment != "" || slices.ContainsFunc(n.Content, hasFootComment)
}

func rewriteEntry(entry *yaml.Node, r Rewritten) (*yaml.Node, error) {
	urls, err := rewriteURLs(lookup(entry, "urls"), r.Builds)
	if err != nil {
		return nil, err
	}
	entry = with(entry, "urls", urls)
	if entry, err = inlineSchema(entry, r.Schemas); err != nil {
		return nil, err
	}
	external := lookup(entry, "externalRequest")
	payload := lookup(external, "payload")
	rewritten, err := inlineSchema(payload, r.Schemas)
	if err == nil && rewritten != payload {
		entry = with(entry, "externalRequest", with(external, "payload", rewritten))
	}
	return entry, err
}

// rewriteURLs keeps one URL for each platform that remains: the last, which is
// the one that counts.
func rewriteURLs(urls *yaml.Node, builds map[agent.Platform]agent.Build) (*yaml.Node, error) {
	if urls == nil || urls.Kind != yaml.SequenceNode {
		return nil, errors.New("urls is not a list")
	}
	last, dependencies := map[agent.Platform]*yaml.Node{}, map[agent.Platform]*yaml.Node{}
	for _, item := range urls.Content {
		p := platformOf(item)
		last[p] = item
		if dependencies[p] == nil {
			dependencies[p] = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		}
		if more := lookup(item, "dependencies"); more != nil && more.Kind == yaml.MappingNode {
			for pair := range slices.Chunk(more.Content, 2) {
				dependencies[p] = with(dependencies[p], pair[0].Value, pair[1])
			}
		}
	}
	kept := *urls
	kept.Content = nil
	for _, item := range urls.Content {
		p := platformOf(item)
		build, keep := builds[p]
		if !keep || last[p] != item {
			continue
		}
		item = with(item, "url", text(build.URL))
		item = with(item, "checksum", text(build.Checksum))
		kept.Content = append(kept.Content, with(item, "dependencies", rewriteDependencies(dependencies[p], build.Dependencies)))
	}
	return &kept, nil
}

// rewriteDependencies keeps those that have a URL, and adds those that upstream does not have for
// the platform.
func rewriteDependencies(dependencies *yaml.Node, urls map[string]string) *yaml.Node {
	kept := *dependencies
	kept.Content = nil
	for pair := range slices.Chunk(dependencies.Content, 2) {
		if url, keep := urls[pair[0].Value]; keep {
			kept.Content = append(kept.Content, pair[0], with(pair[1], "url", text(url)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(urls)) {
		if lookup(dependencies, name) == nil {
			kept.Content = append(kept.Content, text(name), with(&yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}, "url", text(urls[name])))
		}
	}
	if len(kept.Content) == 0 {
		return nil
	}
	return &kept
}

func platformOf(item *yaml.Node) agent.Platform {
	platform := lookup(item, "platform")
	return agent.Platform{OS: scalar(lookup(platform, "os")), Arch: scalar(lookup(platform, "architecture"))}
}

// inlineSchema gives as a value the schema of a mapping that stands by reference.
func inlineSchema(mapping *yaml.Node, texts map[string]string) (*yaml.Node, error) {
	schema := lookup(mapping, "jsonSchema")
	ref := scalar(lookup(schema, "refURL"))
	if ref == "" {
		return mapping, nil
	}
	if scalar(lookup(schema, "value")) == "" {
		schemaText, found := texts[ref]
		if !found {
			return nil, fmt.Errorf("the JSON schema at %s is missing", agent.Redact(ref))
		}
		schema = with(schema, "value", text(schemaText))
	}
	return with(mapping, "jsonSchema", with(schema, "refURL", nil)), nil
}

// maxNodes bounds a document whose aliases are written out: some hundred times
// the official indexes.
const maxNodes = 1 << 20

// expand writes out aliases and merge keys. What they stand for is in several places then.
func expand(n *yaml.Node, budget *int) error {
	if *budget--; *budget < 0 {
		return errors.New("the index expands to more than a million values")
	}
	n.Anchor = ""
	if n.Style&yaml.FoldedStyle != 0 {
		// yaml.v3 writes folded text with lines that it did not have.
		n.Style = n.Style&^yaml.FoldedStyle | yaml.LiteralStyle
	}
	for i, child := range n.Content {
		if child.Kind == yaml.AliasNode {
			n.Content[i] = child.Alias
		}
		if err := expand(n.Content[i], budget); err != nil {
			return err
		}
	}
	if n.Kind == yaml.MappingNode {
		writeOutMerges(n)
	}
	return nil
}

// writeOutMerges replaces the key << by what it brings; the mapping's own keys win.
func writeOutMerges(mapping *yaml.Node) {
	var merged, own []*yaml.Node
	has := map[string]bool{}
	for pair := range slices.Chunk(mapping.Content, 2) {
		switch key, value := pair[0], pair[1]; {
		case key.Tag != "!!merge":
			own = append(own, key, value)
			has[key.Value] = true
		case value.Kind == yaml.SequenceNode:
			merged = append(merged, value.Content...)
		default:
			merged = append(merged, value)
		}
	}
	for _, source := range merged {
		if source.Kind != yaml.MappingNode {
			continue
		}
		for pair := range slices.Chunk(source.Content, 2) {
			if key := pair[0].Value; !has[key] {
				has[key] = true
				own = append(own, pair...)
			}
		}
	}
	mapping.Content = own
}

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

// with returns a copy of a mapping that has a key with a value, or without it if that is
// nil. A comment behind the old value stays.
func with(mapping *yaml.Node, key string, value *yaml.Node) *yaml.Node {
	c := *mapping
	c.Content = slices.Clone(c.Content)
	at := 0
	for at < len(c.Content) && c.Content[at].Value != key {
		at += 2
	}
	switch {
	case at == len(c.Content) && value != nil:
		c.Content = append(c.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, value)
	case at < len(c.Content) && value != nil:
		commented := *value
		commented.LineComment = c.Content[at+1].LineComment
		c.Content[at+1] = &commented
	case at < len(c.Content):
		c.Content = slices.Delete(c.Content, at, at+2)
	}
	return &c
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func scalar(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode || isNull(n) {
		return ""
	}
	return n.Value
}

func text(value string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
	if strings.Contains(value, "\n") {
		n.Style = yaml.LiteralStyle
	}
	return n
}
