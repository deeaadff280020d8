package deploy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

// Rendering has the documents that options come to.
type Rendering struct{ documents []document }

// YAML returns the documents with comments. The same options give the same bytes.
func (r *Rendering) YAML() ([]byte, error) { return marshal(r.documents...) }

// Quote has [Rendering.YAML] put strings in double quotes, where an escape means the character that
// it is for.
func (r *Rendering) Quote(escaped func(string) bool) {
	for _, d := range r.documents {
		quote(d.body.node, escaped)
	}
}

// MarshalJSON writes one document as it is, and several as a Kubernetes List, without comments.
func (r *Rendering) MarshalJSON() ([]byte, error) {
	var all []any
	for _, d := range r.documents {
		var v any
		if err := d.body.node.Decode(&v); err != nil {
			return nil, fmt.Errorf("writing JSON: %w", err)
		}
		all = append(all, v)
	}
	if len(all) == 1 {
		return json.Marshal(all[0])
	}
	return json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": all})
}

// Values returns the Helm values to layer over the user's own.
func Values(o Options) (*Rendering, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	v := newObject()
	o.setPlugins(v)
	o.setTemplates(v)
	o.setQuiet(v)
	o.setVolume(v)
	o.setNodes(v)
	o.setImages(v)
	o.setObjects(v)
	v.set("extraAnnotations", labels(annotationLock, o.LockDigest),
		"of the pod: it starts anew when another mirror takes the place of this one")
	return &Rendering{[]document{{o.header(), v}}}, nil
}

func (o *Options) header() []string {
	of := "Botkube"
	if o.BotkubeVersion != "" {
		of += " " + o.BotkubeVersion
	}
	lines := []string{
		fmt.Sprintf("Helm values with which %s starts from %s, without a call to the outside.", of, o.Target),
		"Give them after your own: helm upgrade --install botkube CHART --values yours.yaml --values THIS",
	}
	if lists := o.lists(); o.User == nil && len(lists) > 0 {
		lines = append(lines, "Lists take the place of yours. If you set "+strings.Join(lists, ", ")+", have them",
			"carried over: botkube-mirror values … --values yours.yaml")
	}
	for _, n := range o.Notes() {
		lines = append(lines, "NOTE: "+n)
	}
	return lines
}

// Notes are what a person must know of what is rendered, a sentence each.
func (o *Options) Notes() []string {
	notes := slices.Clone(o.Read)
	if o.Site != nil && o.Site.Written != "" {
		notes = append(notes, "the indexes of the site name files at "+o.Site.Written+": serve them by botkube-mirror serve --base-url, or write the site anew")
	}
	if o.Site != nil {
		if variable := agent.ProxyVariable(o.Environment, o.Site.BaseURL); variable != "" {
			notes = append(notes, "the agent would ask for the mirror through the proxy that "+variable+" in extraEnv of your values names; with the mirror's host in NO_PROXY, it asks directly")
		}
	}
	if image := o.byTag(); image != "" {
		notes = append(notes, image+" is named by a tag, and a node that has pulled it does not notice when the tag is moved to another mirror: name the digest, too, which push printed: "+image+"@sha256:…")
	}
	if len(o.Missing) > 0 {
		notes = append(notes, "your values enable what is not mirrored, and with which the agent does not start: "+strings.Join(o.Missing, ", "))
	}
	if len(o.Cloned) > 0 {
		notes = append(notes, "your values have exec download templates that are not mirrored, and without which its commands fail: "+strings.Join(o.Cloned, ", "))
	}
	if o.Site != nil && o.Site.Unasked {
		notes = append(notes, "exec clones its templates from GitHub unless its configuration names those of the site, which takes --values with your own")
	}
	if o.Policy != nil && !o.Configured {
		notes = append(notes, "without --values it is not known which chat platform the NetworkPolicy has to allow, nor what plugins call")
	}
	byName := o.Policy != nil && len(o.Policy.Allow) == 0 // --allow may have the addresses of these proxies
	if hidden := o.hiddenProxies(); byName && len(hidden) > 0 {
		notes = append(notes, "the NetworkPolicy denies the proxies that "+strings.Join(hidden, " and ")+" in extraEnv of your values name, for their values are elsewhere: give the addresses with --allow")
	}
	if o.Policy != nil && len(o.Policy.Unknown) > 0 {
		notes = append(notes, "whom plugins call that are not Botkube's own is not known, and the NetworkPolicy denies it unless --allow has it: "+strings.Join(o.Policy.Unknown, ", "))
	}
	if byName {
		if _, denied := o.destinationRules(); len(denied) > 0 {
			notes = append(notes, "the NetworkPolicy denies what it cannot allow by a name, so the agent will not reach "+strings.Join(denied, ", ")+": give the addresses, or a gateway's, with --allow")
		}
	}
	return notes
}

func (o *Options) setPlugins(v object) {
	where := []string{"where the volume below is mounted; the chart has something else at /tmp already"}
	if o.Site != nil {
		where = []string{"downloads go to the chart's own emptyDir: nothing else in the pod can be written to"}
	}
	repositories := newObject()
	for _, r := range o.Repositories {
		entry := newObject().set("url", r.URL)
		entry.setUnless(!o.mayHaveHeaders(r.Name), "headers", nil, "yours are for upstream, and would go to whoever answers at this URL")
		repositories.set(r.Name, entry)
	}
	for i, name := range o.Absent {
		var why []string
		if i == 0 {
			why = []string{"not mirrored: so the agent refuses a plugin of it at once, rather than try to reach the internet"}
		}
		repositories.set(name, nil, why...)
	}
	urls := []string{"indexes come from the volume; an agent that does not find one there asks a host that cannot exist"}
	if o.Site != nil {
		urls = []string{"the mirror's own indexes, which name nothing but files of the mirror"}
		if strings.HasPrefix(o.Site.BaseURL, "https:") {
			urls = append(urls, "If only your own authority vouches for it, give that to the agent: ssl.enabled, and ssl.existingSecretName")
		}
	}
	v.set("plugins", newObject().set("cacheDir", o.cacheDir(), where...).set("repositories", repositories, urls...))
}

func (o *Options) cacheDir() string {
	if o.Site != nil {
		return SiteCacheDir
	}
	return o.Mount
}

// setTemplates has exec take templates from a site. In a volume, they are where exec looks
// first.
func (o *Options) setTemplates(v object) {
	if o.Site == nil || len(o.Site.Templates) == 0 {
		return
	}
	groups := newObject()
	for _, t := range o.Site.Templates {
		var refs []any
		for _, u := range t.URLs {
			refs = append(refs, labels("ref", u))
		}
		plugin := newObject().set("config", newObject().set("templates", list(refs...), "exec would clone them from GitHub"))
		if group := valueOf(groups.node, t.Group); group != nil {
			object{group}.set(t.Plugin, plugin)
			continue
		}
		groups.set(t.Group, newObject().set(t.Plugin, plugin))
	}
	v.set("executors", groups)
}

// setQuiet stops calls that have nothing to do with plugins.
func (o *Options) setQuiet(v object) {
	v.set("analytics", newObject().set("disable", true, "no report to api.segment.io"))
	v.set("settings", newObject().set("upgradeNotifier", false, "no question to api.github.com whether there is a newer release"))
	o.setWatcher(v)
	v.set("config", newObject().set("provider", newObject().
		set("endpoint", "", "of Botkube Cloud: without an identifier it is not asked; empty, it is not named either")))
}

// setWatcher leaves out the second container, unless its image is mirrored.
func (o *Options) setWatcher(v object) {
	if o.withoutWatcher() {
		v.set("configWatcher", newObject().set("enabled", false), "no second container, whose image nodes would pull from ghcr.io: after a change of the", "configuration by a command, start the agent anew yourself")
	}
}

func (o *Options) setNodes(v object) {
	if p, one := o.platform(); one {
		v.set("nodeSelector", nodeSelector(p), "the mirror is for this platform only")
	}
}

// nodeSelector has the labels that every kubelet gives its node.
func nodeSelector(p agent.Platform) object {
	return labels("kubernetes.io/os", p.OS, "kubernetes.io/arch", p.Arch)
}

func (o *Options) setImages(v object) {
	image := newObject()
	if a := o.AgentImage; a != nil {
		image.setImage(a, "where push put the agent's image")
	}
	if w := o.WatcherImage; o.Watcher && w != nil {
		beside := newObject()
		beside.setImage(w, "where push put the image of the second container")
		v.set("configWatcher", newObject().set("image", beside))
	}
	if len(o.PullSecrets) > 0 {
		image.set("pullSecrets", o.pullSecrets(), o.withYours("with which the kubelet pulls the agent's image, and mounts images")...)
	}
	if len(image.node.Content) > 0 {
		v.set("image", image)
	}
}

func (v object) setImage(i *ChartImage, comment string) {
	v.set("registry", i.Registry, comment).set("repository", i.Repository).set("tag", i.Tag)
}

func (o *Options) setVolume(v object) {
	volume, mount := o.volume()
	if o.Site != nil || o.mountsMirror(volume, mount) {
		return
	}
	v.set("extraVolumes", o.carry("extraVolumes", "name", volume), o.withYours()...)
	v.set("extraVolumeMounts", o.carry("extraVolumeMounts", "name", mount), o.withYours()...)
}

func (o *Options) setObjects(v object) {
	var objects []any
	if o.seeded() != nil {
		objects = append(objects, o.claim(true), o.job(true))
	}
	if o.Policy != nil {
		objects = append(objects, o.policy())
	}
	if len(objects) > 0 {
		v.set("extraObjects", o.carry("extraObjects", "kind metadata.name", objects...), o.withYours()...)
	}
}

func (o *Options) volume() (volume, mount object) {
	volume, mount = newObject().set("name", volumeName), newObject().set("name", volumeName)
	mount.set("mountPath", o.Mount)
	switch {
	case o.Claim != nil:
		// The volume is not attached read-only: the Job that fills it may be on the same node,
		// and not every driver can do both at once.
		volume.set("persistentVolumeClaim", labels("claimName", o.Claim.Name))
		mount.setUnless(o.Claim.SubPath == "", "subPath", o.Claim.SubPath, "the directory for the platform of the nodes")
	case o.Image != nil:
		volume.set("image", newObject().set("reference", o.Image.Reference).set("pullPolicy", "IfNotPresent"),
			"needs Kubernetes 1.35, where image volumes are on by default (1.36: stable), and a runtime that has them.",
			"1.33 and 1.34 have them behind the feature gate ImageVolume of the API server and the kubelet.")
		mount.setUnless(o.Image.Path == "", "subPath", o.Image.Path, "where the image has it")
	}
	mount.set("readOnly", true, "the agent changes nothing when everything is there")
	return volume, mount
}
