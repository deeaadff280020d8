package configfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

type object = map[string]any

// Schema returns the JSON Schema of what [Parse] takes, in draft 7, the newest that the language
// servers of editors support in full. Parse refuses what the schema does, and what no schema can
// say, such as a key that stands twice.
func Schema(title string, g Grammar) ([]byte, error) {
	properties := object{}
	for _, name := range g.names() {
		properties[name] = g.commonSchema(name)
	}
	for _, c := range g.Commands {
		section := c.schema()
		if value, both := properties[c.Name]; both {
			// The order is that in which editors show what they offer.
			section = object{"anyOf": []any{value, section}}
		}
		properties[c.Name] = section
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(object{
		"$schema":              "http://json-schema.org/draft-07/schema#",
		"title":                title,
		"type":                 "object",
		"properties":           properties,
		"additionalProperties": false,
	})
	return out.Bytes(), err
}

func (c *Command) schema() object {
	properties := object{}
	for i := range c.Keys {
		k := &c.Keys[i]
		s := k.schema()
		s["description"] = k.Usage
		if value := k.standard(); value != nil {
			s["default"] = value
		}
		properties[k.Name] = s
	}
	return object{
		"title":                "section " + c.Name,
		"type":                 "object",
		"description":          fmt.Sprintf("Settings for the command %s only: %s", c.Name, c.Summary),
		"properties":           properties,
		"additionalProperties": false,
	}
}

func (g Grammar) commonSchema(name string) object {
	variants := g.variants(name)
	s := variants[0].schema()
	if len(variants) > 1 {
		var all []any
		for _, k := range variants {
			all = append(all, k.schema())
		}
		s = object{"allOf": all}
	}
	s["description"] = g.commonUsage(name)
	if value := variants[0].standard(); value != nil && g.sameDefault(name) {
		s["default"] = value
	}
	return s
}

func (g Grammar) sameDefault(name string) bool {
	owners := g.owners(name)
	return !slices.ContainsFunc(owners, func(c string) bool {
		return g.command(c).key(name).Default != g.command(owners[0]).key(name).Default
	})
}

// commonUsage says what a key does, for each group of commands that differs.
func (g Grammar) commonUsage(name string) string {
	var usages []string
	users := map[string][]string{}
	for i := range g.Commands {
		if k := g.Commands[i].key(name); k != nil {
			if users[k.Usage] == nil {
				usages = append(usages, k.Usage)
			}
			users[k.Usage] = append(users[k.Usage], g.Commands[i].Name)
		}
	}
	if len(usages) == 1 && len(users[usages[0]]) == len(g.Commands) {
		return usages[0]
	}
	for i, usage := range usages {
		usages[i] = strings.Join(users[usage], ", ") + ": " + usage
	}
	return strings.Join(usages, "\n")
}

func (k *Key) standard() any {
	switch {
	case k.Many || k.Default == "":
		return nil
	case k.Type == Bool:
		return k.Default == "true"
	case k.Type == Int:
		if n, err := strconv.Atoi(k.Default); err == nil {
			return n
		}
	}
	return k.Default
}

func (k *Key) schema() object {
	item := k.item()
	if !k.Many {
		return item
	}
	forms := []any{item, object{"type": "array", "items": item, "maxItems": maxItems}}
	if len(k.Separators) > 0 {
		forms = append(forms, joinedSchema(k.Separators))
	}
	return object{"anyOf": forms}
}

func (k *Key) item() object {
	s := object{}
	switch {
	case k.Type == Bool:
		s["type"] = "boolean"
	case k.Type == Int:
		s["type"] = "integer"
		if k.Max != 0 {
			s["minimum"], s["maximum"] = k.Min, k.Max
		}
	case k.NoOptDefault != "":
		s["type"] = []string{"boolean", "string"}
	case k.Number:
		s["type"] = []string{"string", "integer"}
	default:
		s["type"] = "string"
	}
	if len(k.Enum) > 0 {
		s["enum"] = k.Enum
	}
	if k.Pattern != "" {
		s["pattern"] = k.Pattern
	}
	return s
}

func joinedSchema(joins []string) object {
	if len(joins) == 0 {
		return object{"type": "string"}
	}
	return object{
		"type":                 "object",
		"propertyNames":        object{"pattern": "^[^" + regexp.QuoteMeta(joins[0]) + "]+$"},
		"additionalProperties": joinedSchema(joins[1:]),
		"maxProperties":        maxItems,
	}
}
