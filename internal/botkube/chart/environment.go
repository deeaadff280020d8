package chart

import (
	"fmt"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/manifest"
)

type container struct {
	environment map[string]string
	// withheld are variables whose values are elsewhere.
	withheld []string
	// absent are objects of envFrom that are not given.
	absent []string
}

// environmentOf returns a container's environment. A variable in env wins over envFrom, and in
// envFrom a later source wins over an earlier one.
func (o *objects) environmentOf(c manifest.Field) container {
	found := container{environment: map[string]string{}}
	for _, from := range c.At("envFrom").Items() {
		o.variablesFrom(from, &found)
	}
	o.variables(c.At("env").Items(), &found)
	return found
}

func (o *objects) variables(items []manifest.Field, found *container) {
	for _, v := range items {
		name := v.At("name").Text()
		if !v.At("valueFrom").Exists() {
			if name != "" {
				found.environment[name] = v.At("value").Text()
			}
			continue
		}
		if text, is := o.valueFrom(v.At("valueFrom")); is {
			found.environment[name] = text
			continue
		}
		delete(found.environment, name)
		found.withheld = append(found.withheld, name)
	}
}

func (o *objects) valueFrom(from manifest.Field) (string, bool) {
	for field, kind := range map[string]string{"configMapKeyRef": "ConfigMap", "secretKeyRef": "Secret"} {
		ref := from.At(field)
		if !ref.Exists() {
			continue
		}
		entries, _ := o.entries(kind, ref.At("name").Text())
		key := ref.At("key").Text()
		if i := slices.IndexFunc(entries, func(e manifest.Entry) bool { return e.Key == key && e.Err == nil }); i >= 0 {
			return entries[i].Text, true
		}
	}
	return "", false
}

func (o *objects) variablesFrom(from manifest.Field, found *container) {
	for field, kind := range map[string]string{"configMapRef": "ConfigMap", "secretRef": "Secret"} {
		ref := from.At(field)
		if !ref.Exists() {
			continue
		}
		name := ref.At("name").Text()
		entries, given := o.entries(kind, name)
		if !given {
			found.absent = append(found.absent, kind+" "+name)
		}
		for _, e := range entries {
			if e.Err == nil && !e.Binary {
				found.environment[from.At("prefix").Text()+e.Key] = e.Text
			}
		}
	}
}

// entries returns an object's files, and whether it is given. Its namespace need not be said.
func (o *objects) entries(kind, name string) ([]manifest.Entry, bool) {
	for _, obj := range o.all {
		elsewhere := obj.Namespace != o.namespace && obj.Namespace != "" && o.namespace != ""
		if obj.Kind == kind && obj.Name == name && !elsewhere {
			entries, err := obj.Entries()
			return entries, err == nil
		}
	}
	return nil, false
}

// withheldNotes tell of variables without a known value that decide anything, and name those
// that decide what an agent starts. A chat platform's URL does not.
func withheldNotes(withheld []string) (notes, undecided []string) {
	for _, name := range slices.Compact(slices.Sorted(slices.Values(withheld))) {
		setting, is := agent.EnvironmentKey(name)
		if !is || !decides(setting) {
			continue
		}
		notes = append(notes, fmt.Sprintf("the variable %.200s overrides %.200q, and its value is in an object that is not given (valueFrom): give that object too", name, setting))
		if !strings.HasPrefix(setting, "communications.") || !strings.HasSuffix(setting, ".url") && !strings.HasSuffix(setting, ".server") {
			undecided = append(undecided, fmt.Sprintf("the value of the variable %.200s", name))
		}
	}
	return notes, undecided
}

// decides reports whether a setting decides what an agent starts or connects to. Tokens do not.
func decides(setting string) bool {
	keys := strings.Split(setting, ".")
	switch keys[0] {
	case "actions", "aliases", "analytics", "config", "executors", "plugins", "sources":
		return true
	case "settings":
		return setting == "settings.upgradeNotifier"
	case "communications":
		return slices.ContainsFunc(keys, func(k string) bool {
			return slices.Contains([]string{"bindings", "enabled", "server", "url"}, k)
		})
	}
	return false
}
