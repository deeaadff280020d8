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
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// lists returns the lists of the values that the user may have too.
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

// withYours adds to a comment what is known of the user's own list.
func (o *Options) withYours(comment ...string) []string {
	if o.User == nil {
		return comment
	}
	return append(comment, "with those of your values, whose place a list takes")
}

// carry returns the user's list with what is ours behind it. What is ours already,
// by same, is replaced: the user's values may have these in them.
func (o *Options) carry(key string, same func(a, b *yaml.Node) bool, ours ...any) *yaml.Node {
	out := list()
	all := list(ours...)
	if theirs := o.userList(key); theirs != nil {
		for _, item := range theirs.Content {
			if !slices.ContainsFunc(all.Content, func(n *yaml.Node) bool { return same(n, item) }) {
				out.Content = append(out.Content, item)
			}
		}
	}
	out.Content = append(out.Content, all.Content...)
	return out
}

// carryNames returns the names of the pull secrets, the user's first.
func (o *Options) carryNames() *yaml.Node {
	return o.carry("image.pullSecrets", func(a, b *yaml.Node) bool { return a.Value == b.Value }, anys(o.PullSecrets)...)
}

func anys(names []string) []any {
	var all []any
	for _, name := range names {
		all = append(all, name)
	}
	return all
}

func sameName(a, b *yaml.Node) bool {
	n, m := valueOf(a, "name"), valueOf(b, "name")
	return n != nil && m != nil && n.Value == m.Value
}

func sameObject(a, b *yaml.Node) bool {
	kind, other := valueOf(a, "kind"), valueOf(b, "kind")
	return kind != nil && other != nil && kind.Value == other.Value && sameName(valueOf(a, "metadata"), valueOf(b, "metadata"))
}

// userValue returns what the user's values have at a path of keys, or nil.
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

// userList returns a list of the user's values, or nil.
func (o *Options) userList(key string) *yaml.Node {
	items, ok := o.userValue(strings.Split(key, ".")...).([]any)
	if !ok || len(items) == 0 {
		return nil
	}
	return nodeOf(items)
}

// mayHaveHeaders reports whether the agent's configuration has headers for a
// repository, as far as it is known.
func (o *Options) mayHaveHeaders(repository string) bool {
	if o.User == nil {
		return true
	}
	headers, ok := o.userValue("plugins", "repositories", repository, "headers").(map[string]any)
	return ok && len(headers) > 0
}

// checkSecretNames reports a pull secret of the user's that is no name.
func (o *Options) checkSecretNames() error {
	for _, n := range o.carryNames().Content {
		if n.Kind != yaml.ScalarNode {
			return fault.New(fault.Usage, "your values have something else than names in image.pullSecrets, which the chart cannot take").
				WithHint("write names: pullSecrets: [regcred]")
		}
	}
	return nil
}

// checkUser reports why the user's own values do not go with a mirror.
func (o *Options) checkUser() error {
	for _, key := range append(o.lists(), "extraVolumeMounts", "image.pullSecrets", "tolerations") {
		switch v := o.userValue(strings.Split(key, ".")...).(type) {
		case nil, []any:
		default:
			return fault.New(fault.Usage, "your values have %s as %s, and the chart wants a list", key, kindOf(v))
		}
	}
	if helmvalues.IsTrue(o.userValue("config", "provider", "identifier")) {
		return fault.New(fault.Usage, "your values set config.provider.identifier: the agent takes its configuration from Botkube Cloud, and ignores what is in Helm values").
			WithHint("for an agent that starts offline, take the configuration into the values, and leave config.provider empty")
	}
	if err := o.checkSecretNames(); err != nil {
		return err
	}
	return o.checkMounts()
}

// kindOf is what people call a value that is no list.
func kindOf(v any) string {
	switch v.(type) {
	case map[string]any:
		return "a mapping"
	case string:
		return "a text"
	}
	return "something else"
}

// mountsMirror reports whether the user's values mount the mirror already, as it would be
// mounted here but for the name of the volume.
func (o *Options) mountsMirror(volume, mount object) bool {
	volumes, mounts := o.userList("extraVolumes"), o.userList("extraVolumeMounts")
	if volumes == nil || mounts == nil {
		return false
	}
	for _, m := range mounts.Content {
		if textOf(m, "name") == volumeName || path.Clean(textOf(m, "mountPath")) != o.Mount || path.Clean("/"+textOf(m, "subPath")) != path.Clean("/"+textOf(mount.node, "subPath")) || valueOf(m, "subPathExpr") != nil {
			continue
		}
		for _, v := range volumes.Content {
			if textOf(v, "name") == textOf(m, "name") && sameSource(v, volume.node) {
				return true
			}
		}
	}
	return false
}

// sameSource reports whether two volumes are of the same claim, or of the same image.
func sameSource(a, b *yaml.Node) bool {
	for kind, key := range map[string]string{"persistentVolumeClaim": "claimName", "image": "reference"} {
		if of := textOf(valueOf(b, kind), key); of != "" {
			return textOf(valueOf(a, kind), key) == of
		}
	}
	return false
}

// textOf returns the text of a key, or "".
func textOf(n *yaml.Node, key string) string {
	if v := valueOf(n, key); v != nil && v.Tag != "!!null" {
		return v.Value
	}
	return ""
}

// checkMounts refuses a mount of the user's where ours must be, unless it is the same.
func (o *Options) checkMounts() error {
	mounts := o.userList("extraVolumeMounts")
	if o.Site != nil || mounts == nil {
		return nil
	}
	if volume, mount := o.volume(); o.mountsMirror(volume, mount) {
		return nil
	}
	for _, m := range mounts.Content {
		name, at := valueOf(m, "name"), valueOf(m, "mountPath")
		if name == nil || at == nil || name.Value == volumeName {
			continue
		}
		if taken := path.Clean(at.Value); taken == o.Mount || strings.HasPrefix(taken, o.Mount+"/") {
			return fault.New(fault.Usage, "your values mount the volume %.80q at %.200q, where the agent is to see the mirror", name.Value, at.Value).
				WithHint("%s", fmt.Sprintf("mount it elsewhere, or write the mirror for another path than %s: --mount PATH", o.Mount))
		}
	}
	return nil
}

// checkEnvironment refuses variables that win over values of ours: the agent takes
// its environment over all files (pkg/config/config.go, LoadWithDefaults).
func (o *Options) checkEnvironment() error {
	ours := map[string]string{
		"plugins.cacheDir": o.cacheDir(), "analytics.disable": "true", "settings.upgradeNotifier": "false",
	}
	for _, r := range o.Repositories {
		ours["plugins.repositories."+r.Name+".url"] = r.URL
	}
	for _, name := range slices.Sorted(maps.Keys(o.Environment)) {
		key, _ := agent.EnvironmentKey(name)
		if want, set := ours[key]; set && o.Environment[name] != want {
			return fault.New(fault.Usage, "the variable %s in extraEnv of your values wins over %s, which the agent needs to be another", name, key).
				WithHint("take it out of extraEnv")
		}
	}
	return nil
}
