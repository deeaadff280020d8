package index

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// Replacement says what a rewritten index holds of one entry.
type Replacement struct {
	// Builds are the platforms that remain, with their URLs. Of the
	// dependencies, those remain that are named.
	Builds map[agent.Platform]agent.Build
	// Schemas has the text of each of [agent.Entry.RefURLs].
	Schemas map[string]string
}

// Rewrite returns the index with only the entries for which replace returns a
// replacement. Every other key stays as upstream wrote it; the values of JSON
// schemas stay byte for byte. The result passes [Parse].
func (ix *Index) Rewrite(replace func(*agent.Entry) (Replacement, bool)) ([]byte, error) {
	root, err := expand(ix.document)
	if err != nil {
		return nil, err
	}
	if entries := lookup(root, "entries"); entries != nil && entries.Kind == yaml.SequenceNode {
		// Decoding passes over what is null.
		entries.Content = slices.DeleteFunc(entries.Content, isNull)
		if len(entries.Content) != len(ix.Entries) {
			return nil, fmt.Errorf("the index lists %d entries, of which %d can be read", len(entries.Content), len(ix.Entries))
		}
		var kept []*yaml.Node
		for i, node := range entries.Content {
			r, keep := replace(&ix.Entries[i])
			if !keep {
				continue
			}
			if err := rewriteEntry(node, r); err != nil {
				return nil, fmt.Errorf("entries[%d] (%s): %w", i, ix.Entries[i].Label(), err)
			}
			kept = append(kept, node)
		}
		entries.Content = kept
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(4) // as Botkube's index builder writes
	if err := enc.Encode(root); err != nil {
		return nil, err
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	if _, err := Parse(out.Bytes()); err != nil {
		return nil, fmt.Errorf("the rewritten index is not valid: %w", err)
	}
	return out.Bytes(), nil
}

func rewriteEntry(entry *yaml.Node, r Replacement) error {
	if err := rewriteURLs(lookup(entry, "urls"), r.Builds); err != nil {
		return err
	}
	if err := inlineSchema(lookup(entry, "jsonSchema"), r.Schemas); err != nil {
		return err
	}
	return inlineSchema(lookup(lookup(lookup(entry, "externalRequest"), "payload"), "jsonSchema"), r.Schemas)
}

// rewriteURLs keeps one URL for each platform that remains: the last, which is
// the one that counts.
func rewriteURLs(urls *yaml.Node, builds map[agent.Platform]agent.Build) error {
	if urls == nil || urls.Kind != yaml.SequenceNode {
		return errors.New("urls is no list")
	}
	last := map[agent.Platform]*yaml.Node{}
	dependencies := map[agent.Platform]*yaml.Node{}
	for _, item := range urls.Content {
		p := platformOf(item)
		last[p] = item
		if dependencies[p] == nil {
			dependencies[p] = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		}
		merge(dependencies[p], lookup(item, "dependencies"))
	}
	var kept []*yaml.Node
	for _, item := range urls.Content {
		p := platformOf(item)
		build, keep := builds[p]
		if !keep || last[p] != item {
			continue
		}
		set(item, "url", build.URL)
		set(item, "checksum", build.Checksum)
		rewriteDependencies(item, dependencies[p], build.Dependencies)
		kept = append(kept, item)
	}
	urls.Content = kept
	return nil
}

func rewriteDependencies(item, all *yaml.Node, urls map[string]string) {
	remaining := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for pair := range slices.Chunk(all.Content, 2) {
		if url, keep := urls[pair[0].Value]; keep {
			set(pair[1], "url", url)
			remaining.Content = append(remaining.Content, pair...)
		}
	}
	if len(remaining.Content) == 0 {
		remove(item, "dependencies")
		return
	}
	setNode(item, "dependencies", remaining)
}

func platformOf(item *yaml.Node) agent.Platform {
	platform := lookup(item, "platform")
	return agent.Platform{OS: scalar(lookup(platform, "os")), Arch: scalar(lookup(platform, "architecture"))}
}

// inlineSchema gives a schema that stands by reference as a value.
func inlineSchema(schema *yaml.Node, texts map[string]string) error {
	ref := scalar(lookup(schema, "refURL"))
	if ref == "" {
		return nil
	}
	if scalar(lookup(schema, "value")) == "" {
		text, found := texts[ref]
		if !found {
			return fmt.Errorf("no text is known for the JSON schema at %s", agent.Redact(ref))
		}
		set(schema, "value", text)
	}
	remove(schema, "refURL")
	return nil
}
