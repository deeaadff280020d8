// Package index parses a plugins-index.yaml, selects its entries, and rewrites it so that it names only
// what was mirrored. It refuses entries that cannot be mirrored.
package index

import (
	"errors"
	"fmt"
	"net/url"

	"gopkg.in/yaml.v3"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// MaxSize bounds an index, in bytes. The official ones have less than 100 KiB.
const MaxSize = 16 << 20

// Bounds on an index, some hundred times the official ones.
const (
	maxEntries = 10_000
	// maxPerEntry bounds URLs, and dependencies over all of them, of an entry.
	maxPerEntry = 1_000
	// maxToldApart bounds, in bytes, a malformed document that is identified for an error.
	maxToldApart = 1 << 20
)

// Index is a plugin repository's index.
type Index struct {
	*agent.Index

	// document is expanded.
	document *yaml.Node
}

// NotIndexError says that a document is no index, and what it is instead.
type NotIndexError struct{ What string }

func (e *NotIndexError) Error() string { return "it is not a plugin index but " + e.What }

// Parse reads an index. The error is a [NotIndexError], or joins every reason why the agent
// would refuse the index, and every name that cannot be part of a path.
func Parse(data []byte) (*Index, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("the index is larger than %d bytes", MaxSize)
	}
	switch kind := textfile.Kind(data); kind {
	case textfile.PlainText, textfile.OtherText, textfile.Undecodable, textfile.JSON:
	default:
		return nil, &NotIndexError{kind}
	}
	document, read, err := agent.ReadIndexDocument(data)
	if read == nil || len(read.Entries) == 0 {
		if none := otherwise(data, read); none != nil {
			return nil, none
		}
	}
	if read == nil {
		return nil, err
	}
	if err := checkBounds(read); err != nil {
		return nil, err
	}
	problems := []error{err}
	for i := range read.Entries {
		for _, err := range checkNames(&read.Entries[i]) {
			problems = append(problems, fmt.Errorf("entries[%d] (%s): %w", i, read.Entries[i].Label(), err))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	// Found when it is rewritten, this would end a run that has done all else.
	budget := maxNodes
	return &Index{Index: read, document: document}, expand(document, &budget)
}

// otherwise says what a document is that is no index.
func otherwise(data []byte, ix *agent.Index) error {
	var document yaml.Node
	// What decodes is bounded; what does not decode may be anything.
	if ix == nil && len(data) > maxToldApart || yaml.Unmarshal(data, &document) != nil {
		return nil
	}
	if len(document.Content) == 0 { // nothing but comments
		return &NotIndexError{textfile.Empty}
	}
	what, top := "YAML", document.Content[0]
	if textfile.Kind(data) == textfile.JSON {
		what = textfile.JSON
	}
	entries := lookup(top, "entries")
	switch {
	case top.Kind == yaml.ScalarNode && isNull(top):
		return &NotIndexError{textfile.Empty}
	case top.Kind == yaml.ScalarNode:
		return &NotIndexError{textfile.PlainText}
	case top.Kind == yaml.MappingNode && entries == nil:
		return &NotIndexError{what + " without the key entries"}
	case top.Kind != yaml.MappingNode:
		return &NotIndexError{what + " without the key entries: a list"}
	case entries.Kind == yaml.MappingNode && lookup(top, "apiVersion") != nil:
		return &NotIndexError{"the index of a Helm chart repository"}
	}
	return nil
}

func checkBounds(ix *agent.Index) error {
	if n := len(ix.Entries); n > maxEntries {
		return fmt.Errorf("the index has %d entries, and the limit is %d", n, maxEntries)
	}
	for i, e := range ix.Entries {
		dependencies := 0
		for _, u := range e.URLs {
			dependencies += len(u.Dependencies)
		}
		if len(e.URLs) > maxPerEntry || dependencies > maxPerEntry {
			return fmt.Errorf("entries[%d] (%s): it has %d urls with %d dependencies, and the limit is %d of each", i, e.Label(), len(e.URLs), dependencies, maxPerEntry)
		}
	}
	return nil
}

// checkNames reports names that the agent would take, but that would lead out of its cache
// directory or cannot be written. The agent itself reports empty ones.
func checkNames(e *agent.Entry) []error {
	var problems []error
	check := func(what, name string) {
		if err := agent.CheckName(what, name); name != "" && err != nil {
			problems = append(problems, err)
		}
	}
	check("name", e.Name)
	check("version", e.Version)
	for _, name := range e.DependencyNames() {
		if name == "" {
			problems = append(problems, errors.New("a dependency has no name"))
		}
		check("dependency", name)
	}
	if len(problems) == 0 && e.Type.Valid() {
		if err := agent.CheckBinaryName(e.Type, e.Version, e.Name); err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

// Schemas returns the absolute URLs of the JSON schemas that entries refer to for which keep
// returns true. The index lies at base.
func (ix *Index) Schemas(base string, keep func(*agent.Entry) bool) (map[string]bool, error) {
	at, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	urls := map[string]bool{}
	for i := range ix.Entries {
		e := &ix.Entries[i]
		if !keep(e) {
			continue
		}
		for _, ref := range e.RefURLs() {
			abs, err := agent.ResolveLocation(at, ref)
			if err != nil {
				return nil, err
			}
			urls[agent.Redact(abs)] = true
		}
	}
	return urls, nil
}
