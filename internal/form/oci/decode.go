package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// The keys of OCI's documents (image-spec v1.1), for checks that
// encoding/json does not make.
var documentKeys = []string{
	"schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations",
	"digest", "size", "urls", "data", "platform",
	"architecture", "os", "os.version", "os.features", "variant", "features",
	"imageLayoutVersion",
}

// Decode reads an OCI document strictly. It refuses duplicate keys, unknown keys, and keys with the
// wrong case, which encoding/json would accept or ignore.
func Decode(data []byte, to any) error {
	if err := checkKeys(data); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(to); err != nil {
		return textfile.JSONError(data, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more data after the end of the document")
	}
	return nil
}

// DecodeOpen reads a document that may have other keys than those that are known:
// OCI has readers pass over them. Otherwise it is as strict as [Decode].
func DecodeOpen(data []byte, to any) error {
	if err := checkKeys(data); err != nil {
		return err
	}
	if !utf8.Valid(data) {
		return errors.New("the text is not UTF-8")
	}
	return textfile.JSONError(data, json.Unmarshal(data, to))
}

// checkKeys looks at the keys of every object but annotations and labels, which have
// any, each once.
func checkKeys(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return textfile.JSONError(data, checkValue(dec, false, 0))
}

// maxDepth is more than any document of OCI's has.
const maxDepth = 16

func checkValue(dec *json.Decoder, free bool, depth int) error {
	t, err := dec.Token()
	if err != nil {
		return noEOF(err)
	}
	if depth > maxDepth {
		return fmt.Errorf("values are nested deeper than %d levels", maxDepth)
	}
	switch t {
	case json.Delim('{'):
		err = checkObject(dec, free, depth)
	case json.Delim('['):
		for dec.More() && err == nil {
			err = checkValue(dec, free, depth+1)
		}
	default:
		return nil
	}
	if err == nil {
		_, err = dec.Token()
	}
	return noEOF(err)
}

// noEOF says of the end of a document within a value that it is an error.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func checkObject(dec *json.Decoder, free bool, depth int) error {
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return errors.New("a key is not a string")
		}
		if seen[key] {
			return fmt.Errorf("the key %q occurs twice", Clip(key))
		}
		seen[key] = true
		folded := func(known string) bool { return strings.EqualFold(known, key) }
		if !free && !slices.Contains(documentKeys, key) && slices.ContainsFunc(documentKeys, folded) {
			return fmt.Errorf("the key %q has the wrong case", Clip(key))
		}
		if err := checkValue(dec, free || key == "annotations" || key == "Labels", depth+1); err != nil {
			return err
		}
	}
	return nil
}
