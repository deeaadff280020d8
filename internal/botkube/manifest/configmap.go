package manifest

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"
)

// Entry is a file that a ConfigMap or a Secret has.
type Entry struct {
	Key, Text string
	// Binary says that a ConfigMap has it as binaryData.
	Binary bool
	// Err says why there is no text.
	Err error
}

// Entries returns the files of a ConfigMap or a Secret, in the order of their keys, as a
// cluster has them: of a Secret, stringData counts more than data.
func (o *Object) Entries() ([]Entry, error) {
	all := map[string]Entry{}
	encoded := map[string]bool{"binaryData": true, "data": o.Kind == "Secret"}
	for _, section := range []string{"binaryData", "data", "stringData"} {
		for _, key := range o.At(section).Keys() {
			field := Field{of: o, value: o.At(section).Mapping()[key], path: section + "." + key}
			text := field.Text()
			if encoded[section] {
				decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
				if err != nil {
					all[key] = Entry{Key: key, Err: field.Errorf("it is not base64: write it as stringData, or encode it")}
					continue
				}
				text = string(decoded)
			}
			all[key] = Entry{Key: key, Text: text, Binary: section == "binaryData"}
		}
	}
	var sorted []Entry
	for _, key := range slices.Sorted(maps.Keys(all)) {
		sorted = append(sorted, all[key])
	}
	return sorted, o.TypeError()
}
