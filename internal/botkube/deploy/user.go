package deploy

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/helmvalues"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/manifest"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// lists returns the lists in the values that the user may have, too.
func (o *Options) lists() []string {
	var all []string
	if o.Site == nil {
		all = append(all, "extraVolumes", "extraVolumeMounts")
	}
	if o.seeded() != nil || o.Policy != nil {
		all = append(all, "extraObjects")
	}
	if len(o.PullSecrets) > 0 {
		all = append(all, "image.pullSecrets")
	}
	return all
}

func (o *Options) withYours(comment ...string) []string {
	if o.User == nil {
		return comment
	}
	return append(comment, "includes the entries of your values, as this list replaces theirs")
}

// carry returns the user's list with items behind it. A user's item with the same identity,
// which is what is at the paths, is left out: it is from an earlier time.
func (o *Options) carry(key, paths string, items ...any) *yaml.Node {
	all := list(items...).Content
	identity := func(n *yaml.Node) string {
		var id []string
		for path := range strings.FieldsSeq(paths) {
			at := object{n}.get(strings.Split(path, ".")...)
			if at == nil {
				return ""
			}
			id = append(id, at.Value)
		}
		return strings.Join(id, "\n") + n.Value
	}
	ids := map[string]bool{}
	for _, n := range all {
		ids[identity(n)] = true
	}
	own := slices.DeleteFunc(o.userList(key), func(n *yaml.Node) bool { id := identity(n); return id != "" && ids[id] })
	return nodeOf(slices.Concat(own, all))
}

func (o *Options) pullSecrets() *yaml.Node {
	var all []any
	for _, name := range o.PullSecrets {
		all = append(all, name)
	}
	return o.carry("image.pullSecrets", "", all...)
}

func (o *Options) userValue(keys ...string) any {
	var at any = o.User
	for _, key := range keys {
		m, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = m[key]
	}
	return at
}

func (o *Options) userList(key string) []*yaml.Node {
	items, _ := o.userValue(strings.Split(key, ".")...).([]any)
	return list(items...).Content
}

// mayHaveHeaders reports whether the agent may have headers for a repository.
func (o *Options) mayHaveHeaders(repository string) bool {
	headers, _ := o.userValue("plugins", "repositories", repository, "headers").(map[string]any)
	return o.User == nil || len(headers) > 0
}

func (o *Options) checkUser() error {
	for _, key := range append(o.lists(), "extraVolumeMounts", "image.pullSecrets", "tolerations") {
		switch v := o.userValue(strings.Split(key, ".")...).(type) {
		case nil, []any:
		default:
			return fault.New(fault.Usage, "%s in your values must be a list, not %s", key, manifest.KindOf(v))
		}
	}
	if helmvalues.IsTrue(o.userValue("config", "provider", "identifier")) {
		return fault.New(fault.Usage, "your values set config.provider.identifier: the agent gets its configuration from Botkube Cloud and ignores Helm values").
			WithHint("for an agent that starts offline, leave config.provider empty and put the configuration into your values")
	}
	for _, n := range o.pullSecrets().Content {
		if n.Kind != yaml.ScalarNode {
			return fault.New(fault.Usage, "image.pullSecrets in your values must be a list of names").
				WithHint("write names: pullSecrets: [regcred]")
		}
	}
	return o.checkMounts()
}

// mountsMirror reports whether the user's values mount the mirror already, by a volume of
// another name.
func (o *Options) mountsMirror(volume, mount object) bool {
	volumes := o.userList("extraVolumes")
	for _, m := range o.userList("extraVolumeMounts") {
		subPath, wanted := path.Clean("/"+textOf(m, "subPath")), path.Clean("/"+textOf(mount.node, "subPath"))
		if textOf(m, "name") == volumeName || path.Clean(textOf(m, "mountPath")) != o.Mount || subPath != wanted || valueOf(m, "subPathExpr") != nil {
			continue
		}
		for _, v := range volumes {
			if textOf(v, "name") == textOf(m, "name") && sameSource(v, volume.node) {
				return true
			}
		}
	}
	return false
}

func sameSource(a, b *yaml.Node) bool {
	for kind, key := range map[string]string{"persistentVolumeClaim": "claimName", "image": "reference"} {
		if of := textOf(valueOf(b, kind), key); of != "" {
			return textOf(valueOf(a, kind), key) == of
		}
	}
	return false
}

func textOf(n *yaml.Node, key string) string {
	if v := valueOf(n, key); v != nil && v.Tag != "!!null" {
		return v.Value
	}
	return ""
}

// checkMounts refuses another mount of the user's where the mirror must be.
func (o *Options) checkMounts() error {
	if volume, mount := o.volume(); o.Site != nil || o.mountsMirror(volume, mount) {
		return nil
	}
	for _, m := range o.userList("extraVolumeMounts") {
		name, at := valueOf(m, "name"), valueOf(m, "mountPath")
		if name == nil || at == nil || name.Value == volumeName {
			continue
		}
		if taken := path.Clean(at.Value); taken == o.Mount || strings.HasPrefix(taken, o.Mount+"/") {
			return fault.New(fault.Usage, "your values mount the volume %.80q at %.200q, where the mirror must be", name.Value, at.Value).
				WithHint("%s", fmt.Sprintf("mount that volume elsewhere, or write the mirror for another path than %s: --mount PATH", o.Mount))
		}
	}
	return nil
}

// checkEnvironment refuses variables that win over the values: the agent takes its environment
// over all files (pkg/config/config.go, LoadWithDefaults).
func (o *Options) checkEnvironment() error {
	required := map[string]string{
		"plugins.cacheDir": o.cacheDir(), "analytics.disable": "true", "settings.upgradeNotifier": "false",
	}
	for _, r := range o.Repositories {
		required["plugins.repositories."+r.Name+".url"] = r.URL
	}
	for _, name := range slices.Sorted(maps.Keys(o.Environment)) {
		key, _ := agent.EnvironmentKey(name)
		if want, set := required[key]; set && o.Environment[name] != want {
			return fault.New(fault.Usage, "the variable %s in extraEnv of your values overrides %s with a wrong value", name, key).
				WithHint("remove the variable from extraEnv")
		}
	}
	return nil
}
