package acceptance

import "gopkg.in/yaml.v3"

// index is a plugins-index.yaml, with the keys in the order in which Botkube's own release job writes them.
type index struct {
	Entries []entry `yaml:"entries"`
}

type entry struct {
	Name             string      `yaml:"name"`
	Type             string      `yaml:"type"`
	Description      string      `yaml:"description"`
	DocumentationURL string      `yaml:"documentationUrl,omitempty"`
	Version          string      `yaml:"version"`
	URLs             []entryURL  `yaml:"urls"`
	JSONSchema       entrySchema `yaml:"jsonSchema"`
	Recommended      bool        `yaml:"recommended"`
}

type entryURL struct {
	URL          string                     `yaml:"url"`
	Checksum     string                     `yaml:"checksum"`
	Platform     platform                   `yaml:"platform"`
	Dependencies map[string]entryDependency `yaml:"dependencies,omitempty"`
}

type entryDependency struct {
	URL string `yaml:"url"`
}

type entrySchema struct {
	Value  string `yaml:"value,omitempty"`
	RefURL string `yaml:"refURL,omitempty"`
}

type platform struct {
	OS   string `yaml:"os"`
	Arch string `yaml:"architecture"`
}

func (p platform) String() string { return p.OS + "/" + p.Arch }

func (x index) marshal() []byte {
	out, err := yaml.Marshal(x)
	if err != nil {
		panic(err) // strings and booleans always marshal
	}
	return out
}
