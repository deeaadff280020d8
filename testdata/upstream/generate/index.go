package main

import (
	"bytes"

	"gopkg.in/yaml.v3"
)

// The types below write an index in the key order and with the indentation of
// the official ones.

type index struct {
	Entries []entry `yaml:"entries"`
}

type entry struct {
	Name             string           `yaml:"name"`
	Type             string           `yaml:"type"`
	Description      string           `yaml:"description"`
	DocumentationURL string           `yaml:"documentationUrl,omitempty"`
	Version          string           `yaml:"version"`
	URLs             []download       `yaml:"urls"`
	JSONSchema       schema           `yaml:"jsonSchema,omitempty"`
	ExternalRequest  *externalRequest `yaml:"externalRequest,omitempty"`
	Recommended      bool             `yaml:"recommended"`
}

type download struct {
	URL          string                `yaml:"url"`
	Checksum     string                `yaml:"checksum"`
	Platform     platform              `yaml:"platform"`
	Dependencies map[string]dependency `yaml:"dependencies,omitempty"`
}

type platform struct {
	OS           string `yaml:"os"`
	Architecture string `yaml:"architecture"`
}

type dependency struct {
	URL string `yaml:"url"`
}

type schema struct {
	Value  string `yaml:"value,omitempty"`
	RefURL string `yaml:"refURL,omitempty"`
}

type externalRequest struct {
	Payload payload `yaml:"payload"`
}

type payload struct {
	JSONSchema schema `yaml:"jsonSchema"`
}

func (x index) marshal() []byte {
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(4)
	check(e.Encode(x))
	check(e.Close())
	return out.Bytes()
}
