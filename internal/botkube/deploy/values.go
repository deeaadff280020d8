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
		"restarts the agent's pod when the mirror changes")
	return &Rendering{[]document{{o.header(), v}}}, nil
}

func (o *Options) header() []string {
	of := "Botkube"
	if o.BotkubeVersion != "" {
		of += " " + o.BotkubeVersion
	}
	lines := []string{
		fmt.Sprintf("Helm values with which %s starts offline from %s.", of, o.Target),
		"Give them after your own: helm upgrade --install botkube CHART --values yours.yaml --values THIS",
	}
	if o.Claim != nil && o.Claim.Seed != nil {
		lines[1] += " --timeout 30m" // Helm waits for the Job
	}
	if lists := o.lists(); o.User == nil && len(lists) > 0 {
		lines = append(lines, "Lists replace yours. If you set "+strings.Join(lists, ", ")+",",
			"keep your entries: botkube-mirror values … --values yours.yaml")
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
		notes = append(notes, "the indexes of the site name "+o.Site.Written+": serve the site with botkube-mirror serve --base-url, or write it again")
	}
	if o.Site != nil {
		if variable := agent.ProxyVariable(o.Environment, o.Site.BaseURL); variable != "" {
			notes = append(notes, "the agent would reach the mirror through the proxy in "+variable+" (extraEnv): to connect directly, add the mirror's host to NO_PROXY")
		}
	}
	if image := o.byTag(); image != "" {
		notes = append(notes, image+" has no digest: nodes that have the image do not notice if its tag moves to another mirror. Add the digest that push printed: "+image+"@sha256:…")
	}
	if len(o.Missing) > 0 {
		notes = append(notes, "the agent will not start: your values enable plugins that are not mirrored: "+strings.Join(o.Missing, ", "))
	}
	if len(o.Cloned) > 0 {
		notes = append(notes, "commands of exec will fail: these templates of your values are not mirrored: "+strings.Join(o.Cloned, ", "))
	}
	if o.Site != nil && o.Site.Unasked {
		notes = append(notes, "exec would clone its templates from GitHub: to use those of the site, give your own values with --values")
	}
	if o.Policy != nil && !o.Configured {
		notes = append(notes, "give your own values with --values, so that the NetworkPolicy allows your chat platform and what plugins connect to")
	}
	byName := o.Policy != nil && len(o.Policy.Allow) == 0 // --allow may have the addresses of these proxies
	if hidden := o.hiddenProxies(); byName && len(hidden) > 0 {
		notes = append(notes, "the NetworkPolicy blocks the proxies in "+strings.Join(hidden, " and ")+" (extraEnv), as your values do not have their addresses: give these with --allow")
	}
	if o.Policy != nil && len(o.Policy.Unknown) > 0 {
		notes = append(notes, "the connections of plugins that are not Botkube's own are unknown, and the NetworkPolicy blocks them unless --allow names them: "+strings.Join(o.Policy.Unknown, ", "))
	}
	if byName {
		_, denied := o.destinationRules()
		if to := o.blocked(); to != "" { // which is an error
			denied = slices.DeleteFunc(denied, func(name string) bool { return strings.HasSuffix(name, ": "+to) })
		}
		if len(denied) > 0 {
			notes = append(notes, "the NetworkPolicy cannot allow host names, so the agent will not reach "+strings.Join(denied, ", ")+": give their addresses, or a gateway's, with --allow")
		}
	}
	return notes
}

func (o *Options) setPlugins(v object) {
	where := []string{"the mount path of the volume below; the chart uses /tmp for another volume"}
	if o.Site != nil {
		where = []string{"the chart's emptyDir, the only directory that the agent can write to"}
	}
	repositories := newObject()
	for _, r := range o.Repositories {
		entry := newObject().set("url", r.URL)
		entry.setUnless(!o.mayHaveHeaders(r.Name), "headers", nil, "removes your headers, which are for the upstream server")
		repositories.set(r.Name, entry)
	}
	for i, name := range o.Absent {
		var why []string
		if i == 0 {
			why = []string{"not mirrored: the agent refuses its plugins at once, instead of trying to reach the internet"}
		}
		repositories.set(name, nil, why...)
	}
	urls := []string{"the agent reads the indexes from the volume; these hosts cannot exist, so nothing is ever downloaded"}
	if o.Site != nil {
		urls = []string{"the mirror's indexes, which name files of the mirror only"}
		if strings.HasPrefix(o.Site.BaseURL, "https:") {
			urls = append(urls, "If its certificate is from your own authority, set ssl.enabled and ssl.existingSecretName")
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
	v.set("analytics", newObject().set("disable", true, "no connection to api.segment.io"))
	v.set("settings", newObject().set("upgradeNotifier", false, "no connection to api.github.com"))
	o.setWatcher(v)
	v.set("config", newObject().set("provider", newObject().
		set("endpoint", "", "no connection to Botkube Cloud")))
}

// setWatcher leaves out the second container, unless its image is mirrored.
func (o *Options) setWatcher(v object) {
	if o.withoutWatcher() {
		v.set("configWatcher", newObject().set("enabled", false), "no second container, so nodes need no image of ghcr.io for it: if a command changes the", "configuration, restart the agent yourself")
	}
}

func (o *Options) setNodes(v object) {
	if p, one := o.platform(); one {
		v.set("nodeSelector", nodeSelector(p), "the files are for this platform only")
	}
}

// nodeSelector has the labels that every kubelet gives its node.
func nodeSelector(p agent.Platform) object {
	return labels("kubernetes.io/os", p.OS, "kubernetes.io/arch", p.Arch)
}

func (o *Options) setImages(v object) {
	image := newObject()
	if a := o.AgentImage; a != nil {
		image.setImage(a, "the image that push published")
	}
	if w := o.WatcherImage; o.Watcher && w != nil {
		beside := newObject()
		beside.setImage(w, "the image that push published, for the second container")
		v.set("configWatcher", newObject().set("image", beside))
	}
	if len(o.PullSecrets) > 0 {
		image.set("pullSecrets", o.pullSecrets(), o.withYours("the kubelet uses these to pull the agent's image and mounted images")...)
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
		// The volume is not attached read-only: the Job that fills it may run on the same node.
		// Not every driver can attach a volume in both ways at once.
		volume.set("persistentVolumeClaim", labels("claimName", o.Claim.Name))
		mount.setUnless(o.Claim.SubPath == "", "subPath", o.Claim.SubPath, "the directory for this platform")
	case o.Image != nil:
		volume.set("image", newObject().set("reference", o.Image.Reference).set("pullPolicy", "IfNotPresent"),
			"needs Kubernetes 1.35 or later, and a container runtime with image volumes.",
			"In 1.33 and 1.34, turn on the feature gate ImageVolume of the API server and the kubelet.")
		mount.setUnless(o.Image.Path == "", "subPath", o.Image.Path, "the path in the image")
	}
	mount.set("readOnly", true, "the agent only reads the files")
	return volume, mount
}
