package configfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// object is a JSON object; its keys are written in order.
type object = map[string]any

// Schema returns the JSON Schema of what [Parse] takes. It is of draft 7, the
// newest that the language servers of editors support in full. What it refuses
// Parse refuses, too. Parse refuses more: what no schema can say, such as a key
// that stands twice.
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
		properties[k.Name] = k.described(k.Usage)
	}
	return object{
		"title":                "section " + c.Name,
		"type":                 "object",
		"description":          fmt.Sprintf("settings for the command %s alone: %s", c.Name, c.Summary),
		"properties":           properties,
		"additionalProperties": false,
	}
}

// commonSchema describes a key at the top, which must suit every command.
func (g Grammar) commonSchema(name string) object {
	variants, usage := g.variants(name), g.commonUsage(name)
	if len(variants) == 1 {
		return variants[0].described(usage)
	}
	var all []any
	for _, k := range variants {
		all = append(all, k.schema())
	}
	return object{"allOf": all, "description": usage}
}

// commonUsage says what a key does, for each group of commands where it does
// something else.
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

func (k *Key) described(usage string) object {
	s := k.schema()
	s["description"] = usage
	if k.Many || k.Default == "" {
		return s
	}
	var value any = k.Default
	switch k.Type {
	case Bool:
		value = k.Default == "true"
	case Int:
		if n, err := strconv.Atoi(k.Default); err == nil {
			value = n
		}
	}
	s["default"] = value
	return s
}

// schema describes the values of a key.
func (k *Key) schema() object {
	item := k.item()
	if !k.Many {
		return item
	}
	forms := []any{item, object{"type": "array", "items": item, "maxItems": maxItems}}
	if len(k.Joins) > 0 {
		forms = append(forms, joinedSchema(k.Joins))
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
		if k.Most != 0 {
			s["minimum"], s["maximum"] = k.Least, k.Most
		}
	case k.Bare != "":
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
