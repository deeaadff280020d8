package sumfile

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// maxDepth bounds how deep values are nested that are looked at.
const maxDepth = 32

var (
	// nameKeys are the keys under which documents have a file's name, in lower case.
	nameKeys = []string{"name", "file", "filename", "filepath", "path", "url", "uri", "asset", "artifact", "downloaduri"}
	// algorithmKeys are those of an algorithm's name.
	algorithmKeys = []string{"algorithm", "alg", "algo", "type", "hashalgorithm"}
	// digestKeys are those of a digest whose algorithm stands elsewhere, if anywhere.
	digestKeys = []string{"hash", "digest", "checksum", "sum", "value", "content", "checksumvalue", "integrity", "hex"}
	// plainKeys are those of values that say nothing of which file is meant.
	plainKeys = append([]string{"hashes", "digests", "checksums", "sums", "originalchecksums", "files", "artifacts", "assets", "subject", "subjects", "data", "items", "result", "results"}, digestKeys...)
)

// readJSON takes digests under the name of an algorithm, beside one, or under that of a file.
func (c *contents) readJSON(data []byte) {
	var value any
	if json.NewDecoder(bytes.NewReader(data)).Decode(&value) == nil {
		c.value(value, "", 0)
	}
}

// value takes what a value has of the file with a name.
func (c *contents) value(value any, name string, depth int) {
	if depth > maxDepth {
		return
	}
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			c.value(item, name, depth+1)
		}
	case map[string]any:
		c.object(v, name, depth)
	}
}

func (c *contents) object(object map[string]any, name string, depth int) {
	if own := lookup(object, nameKeys); own != "" {
		name = own
	}
	kind := lookup(object, algorithmKeys)
	for _, key := range slices.Sorted(maps.Keys(object)) {
		value, lower := object[key], strings.ToLower(key)
		text, isText := value.(string)
		switch {
		case isText && algorithm(key) != "":
			c.jsonDigest(algorithm(key), text, name, false)
		case isText && slices.Contains(digestKeys, lower):
			c.jsonDigest(algorithm(kind), text, name, false)
		case isText:
			if _, _, ok := digest(text); ok {
				c.jsonDigest("", text, key, true)
			}
		case slices.Contains(plainKeys, lower) || algorithm(key) != "":
			c.value(value, name, depth+1)
		default:
			c.value(value, key, depth+1)
		}
	}
}

// jsonDigest takes a digest of an algorithm that is named elsewhere, or not.
func (c *contents) jsonDigest(kind, text, name string, exact bool) {
	text = strings.TrimSpace(text)
	own, digits, ok := digest(text)
	switch {
	case ok && kind == "other":
		c.weak = true
	case ok:
		c.add(cmp.Or(own, kind), digits, name, exact)
	case isHex(text) && slices.Contains(names, kind):
		c.broken = true
	}
}

// lookup returns the text under the first key that an object has, in any case.
func lookup(object map[string]any, keys []string) string {
	for _, want := range keys {
		for _, key := range slices.Sorted(maps.Keys(object)) {
			if text, ok := object[key].(string); ok && strings.ToLower(key) == want {
				return text
			}
		}
	}
	return ""
}
