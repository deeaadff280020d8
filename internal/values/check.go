package values

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/audit"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/configured"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/deploy"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/pluginsdir"
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

// Checked says what an agent with given values does with a mirror. It is printed as JSON.
type Checked struct {
	*configured.Agent
	// Alone means that the agent starts offline, and makes no connection that a value would stop.
	// Connections that are the purpose of the agent or a plugin are in Egress, and do not count.
	Alone bool `json:"alone"`
	// Undecided names what is not given, but decides whether the agent starts offline.
	Undecided []string `json:"undecided,omitempty"`
	// Refused means that the agent would refuse its configuration. The problems have the reasons.
	Refused bool `json:"refused"`
	// External are the downloads from outside the mirror, at the start.
	External []audit.Call `json:"externalCalls"`
	// Egress are the connections of the agent, its node and its plugins at run time, without the
	// API server.
	Egress []agent.Egress `json:"egress"`
	// Unknown are the plugins with unknown connections: those that are not Botkube's own.
	Unknown []string `json:"unknownEgress,omitempty"`

	// Problems are the problems of the values, each once.
	Problems []audit.Problem `json:"-"`
	// refusedByValues counts problems for which the agent refuses values, without a variable.
	refusedByValues int
	// elsewhere is the base URL in the values if the site was written for another one.
	elsewhere string
	variables []string
	// lacking are the plugins that the mirror lacks. If the values are laid over by those of a
	// mirror, they do not say where such a plugin can be had.
	lacking  []string
	laidOver bool
	// inOne means that one file has the user's values and those of the mirror.
	inOne bool
	// nodes is the platform of the nodes, if the mirror is not for it.
	nodes string
}

// CheckOptions are the values to check, and where agents find the mirror.
type CheckOptions struct {
	Files      []chart.File
	AllEnabled bool
	// Version is the chart's, for a mirror that does not name one.
	Version string
	Location
}

// Location is where agents find a mirror. Without it, the mirror's indexes say where; for a bundle,
// the values do.
type Location struct {
	// BaseURL is where a site, or the content of a bundle, is served.
	BaseURL string
	// Served means that the command serve does that. It rewrites indexes for the base URL.
	Served bool
	// Mount is where agents mount a directory, an image, or an unpacked bundle.
	Mount string
}

// Check refuses a location where no mirror can be.
func (p *Location) Check() error {
	p.BaseURL = strings.TrimSuffix(p.BaseURL, "/")
	if p.BaseURL == "" && p.Served {
		return fault.New(fault.Usage, "--served needs the URL at which the mirror is served").
			WithHint("add the URL at which agents reach the server: --base-url URL")
	}
	if p.BaseURL != "" {
		if err := form.CheckBaseURL(p.BaseURL); err != nil {
			return err
		}
	}
	if p.Mount == "" {
		return nil
	}
	return pluginsdir.CheckMount(p.Mount)
}

type checking struct {
	*form.Mirror
	options CheckOptions
	report  *audit.Report
	config  *agent.Config
	result  *Checked
	// base is where the mirror is served, if the agent downloads it: see [checking.servedAt].
	base string
	// failed are the problems so far; variables are the environment's by their settings.
	failed    map[audit.Problem]bool
	variables map[string]string
}

// Check finds out what an agent with given values does with a mirror, and reports problems.
func Check(report *audit.Report, m *form.Mirror, o CheckOptions) (*Checked, error) {
	c := &checking{Mirror: m, options: o, report: report, failed: map[audit.Problem]bool{}, variables: map[string]string{}}
	read, err := c.read()
	if err != nil {
		return nil, err
	}
	c.config = read.Values.Config
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(read.Values.Environment))) {
		if key, ok := agent.EnvironmentKey(name); ok && key != "" {
			c.variables[key] = name
		}
	}
	c.result = &Checked{Agent: read, External: []audit.Call{}, Egress: []agent.Egress{}}
	c.result.inOne = len(o.Files) == 1 || read.Values.Merged == nil
	c.base = c.servedAt()
	c.check()
	return c.result, nil
}

// read reads the values for the version that they say, or else the mirror's: what a document
// installs is what runs, unless the options say otherwise.
func (c *checking) read() (*configured.Agent, error) {
	of := c.chartVersion()
	read, err := configured.Read(of, c.options.Files, c.options.AllEnabled)
	if err != nil || c.options.Version != "" || read.Values.ChartVersion == "" || read.Values.ChartVersion == of {
		return read, err
	}
	if of != "" {
		c.note("the mirror is for Botkube %s, but the values install %s: checked as for %[2]s", of, read.Values.ChartVersion)
	}
	return configured.Read(read.Values.ChartVersion, c.options.Files, c.options.AllEnabled)
}

// chartVersion is the mirror's, or else what the options say.
func (c *checking) chartVersion() string {
	given := c.options.Version
	if given != "" && given[0] >= '0' && given[0] <= '9' {
		given = "v" + given
	}
	if c.Lock == nil || c.Lock.BotkubeVersion == "" {
		return given
	}
	if of := c.Lock.BotkubeVersion; given != "" && given != of {
		c.note("the mirror is for Botkube %s: the values are checked with that chart, not with %s (--version)", of, given)
	}
	return c.Lock.BotkubeVersion
}

// isSite reports whether agents download the mirror. Of a bundle, they see nothing yet.
func (c *checking) isSite() bool { return c.Access == form.Downloaded }

func (c *checking) note(format string, args ...any) { c.report.Note(fmt.Sprintf(format, args...)) }

func (c *checking) fail(kind audit.Kind, path, format string, args ...any) {
	p := audit.Problem{Kind: kind, Path: path, Detail: fmt.Sprintf(format, args...)}
	variable := c.variables[path]
	if variable != "" {
		p.Detail += "; set by the variable " + variable
	}
	if c.failed[p] {
		return // it is the same on several platforms
	}
	c.failed[p] = true
	if variable != "" {
		c.result.variables = append(c.result.variables, variable)
	}
	c.result.Problems = append(c.result.Problems, p)
	c.report.Fail(p)
}

func (c *checking) check() {
	intact := len(c.report.Problems()) == 0
	if len(c.result.All()) == 0 {
		c.note("with these values, the agent starts no plugin")
	}
	grounds := c.report.StartStates()
	for _, g := range grounds {
		c.plugins(g)
	}
	if len(grounds) > 0 {
		c.templates(&grounds[0]) // they are the same on every platform
	}
	c.refusals()
	c.settings()
	c.calls()
	c.nodes(grounds)
	if c.result.Alone = intact && len(c.result.Problems) == 0; c.result.Alone {
		c.result.Undecided = slices.Compact(slices.Sorted(slices.Values(c.result.Agent.Undecided)))
		c.result.Alone = len(c.result.Undecided) == 0
	}
}

func (c *checking) calls() {
	found, values := c.result.Agent.Egress(c.result.Version, mirrored(c.Lock)), c.result.Values
	if values.Remote() {
		c.result.Egress = append(c.result.Egress, agent.Egress{
			Destination: agent.Origin(values.Cloud), Purpose: "its configuration: Botkube Cloud decides what the agent starts, not these values",
			Setting: "config.provider.identifier", Stop: `config.provider.identifier: ""`,
		})
	}
	c.result.Egress, c.result.Unknown = append(c.result.Egress, found.Calls...), found.Unknown
	for _, p := range values.Pulls {
		host := p.Registry()
		c.result.Egress = append(c.result.Egress, agent.Egress{
			Destination: host, Purpose: "image pull: " + p.Image, Setting: p.Setting, Stop: p.Stop, ByNode: true, InCluster: agent.InCluster(host),
		})
	}
	if len(found.Unknown) > 0 {
		c.note("the connections of plugins that are not Botkube's own are unknown: %s", strings.Join(found.Unknown, ", "))
	}
	if len(found.NeedCloud) > 0 {
		c.note("%s", configured.CloudedNote(found.NeedCloud))
	}
	for _, e := range c.result.Egress {
		if e.Stop != "" && !e.ByNode {
			c.fail(audit.KindSetting, e.Setting, "the agent would connect to %s (%s): set %s", e.Destination, e.Purpose, e.Stop)
		}
	}
}

func (c *checking) refusals() {
	problems, variables := len(c.result.Problems), len(c.result.variables)
	for i, r := range c.result.Refusals {
		if i == configured.MaxRefusals {
			c.fail(audit.KindSetting, "", "%d more reasons for which %s would refuse its configuration", len(c.result.Refusals)-i, c.result.Name())
			break
		}
		c.fail(audit.KindSetting, r.Setting, "%s: %s would refuse its configuration", r.Reason, c.result.Name())
	}
	c.result.Refused = len(c.result.Refusals) > 0
	c.result.refusedByValues = len(c.result.Problems) - problems - (len(c.result.variables) - variables)
}

// plugins says which plugins would be missing on a platform, or come from elsewhere.
func (c *checking) plugins(g audit.StartState) {
	// The URLs of a site's indexes are checked as settings.
	if !c.isSite() {
		g.URLs = map[string]string{}
		for name, r := range c.config.Plugins.Repositories {
			g.URLs[name] = r.URL
		}
	}
	there := pluginsOf(g.Lock)
	for _, p := range c.result.All() {
		c.plugin(&g, there, p)
	}
}

func (c *checking) plugin(g *audit.StartState, there plugins, p agent.EnabledPlugin) {
	what := fmt.Sprintf("%s %s (%s)", p.Type, p.Key, inGroups(p.Groups))
	key, err := agent.DecomposePluginKey(p.Key)
	if err != nil {
		return // which is a reason for the agent to refuse the values
	}
	repository, isConfigured := c.config.Plugins.Repositories[key.Repository]
	if !isConfigured && c.hasRepository(key.Repository) {
		c.fail(audit.KindSetting, "plugins.repositories."+key.Repository, "the repository is not configured, but %s needs it", what)
		return
	}
	if missing := there.lacks(p.Type, key, g.Platform); missing != "" {
		then := "the agent would look for it at " + agent.Redact(repository.URL)
		if repository.URL == "" {
			then = "the agent would not start" // there is nowhere to ask
		}
		if near := there.similar(p.Type, key); near != "" {
			then += "; did you mean " + near + "?"
		}
		c.fail(audit.KindMissing, "", "%s: %s; %s", what, missing, then)
		if c.result.lacking = append(c.result.lacking, p.Key); !isConfigured || c.isMirror(repository.URL) {
			c.result.laidOver = true
		}
		return
	}
	calls, err := g.PredictOne(p)
	c.result.External = append(c.result.External, calls...)
	if err == nil && len(calls) == 0 {
		return
	}
	// If the mirror is damaged, the files are among the problems, and this is the result.
	detail := "the agent would download it from outside the mirror"
	if err != nil {
		detail = err.Error()
	}
	c.fail(audit.KindMissing, "", "%s would not start offline on %s: %s", what, g.Platform, detail)
}

func (c *checking) hasRepository(name string) bool {
	return c.Lock != nil && slices.ContainsFunc(c.Lock.Repositories, func(r lock.Repository) bool { return r.Name == name })
}

// isMirror reports whether the URL of an index is one that [Deploy] makes: nothing can be mirrored
// from it.
func (c *checking) isMirror(index string) bool {
	return strings.HasPrefix(index, agent.Nowhere) || c.base != "" && strings.HasPrefix(index, c.base+"/")
}

func (c *checking) settings() {
	dir, given := c.config.Plugins.CacheDir, c.options
	switch {
	case c.isSite() || c.base != "" && given.BaseURL != "":
		c.repositoryURLs()
	case c.base != "":
		c.repositoryURLs()
		c.note("assuming that %s serves this bundle: as a site, or with botkube-mirror serve", c.base)
	case c.Mount+given.Mount != "":
		c.mount(cmp.Or(given.Mount, c.Mount))
	case dir == deploy.SiteCacheDir:
		c.fail(audit.KindSetting, "plugins.cacheDir", "it is %q, where the chart mounts an empty directory: the agent would find no plugins there and download them", dir)
	default:
		c.mount(dir)
		c.note("assuming that the bundle is unpacked at %s: verify the unpacked directory with --values, too", dir)
	}
}

// nodes says if the agent would run on nodes for which the mirror has no plugins.
func (c *checking) nodes(grounds []audit.StartState) {
	selector := c.result.Values.NodeSelector
	if selector == nil || len(grounds) == 0 {
		return
	}
	var has []agent.Platform
	for _, g := range grounds {
		if !slices.Contains(has, g.Platform) { // a site may have several versions
			has = append(has, g.Platform)
		}
	}
	wanted := agent.Platform{OS: cmp.Or(selector["kubernetes.io/os"], "linux"), Arch: selector["kubernetes.io/arch"]}
	fits := slices.ContainsFunc(has, func(p agent.Platform) bool { return p.OS == wanted.OS && (p.Arch == wanted.Arch || wanted.Arch == "") })
	switch {
	case !fits && wanted.Arch != "":
		c.result.nodes = wanted.String()
		c.fail(audit.KindSetting, "nodeSelector", "it selects nodes for %s, but the mirror is for %s", wanted, agent.JoinPlatforms(has))
	case fits && wanted.Arch == "" && len(has) == 1 && len(c.result.Problems) == 0:
		c.note("the mirror is for %s only, and no nodeSelector in the values says so: on another node, the agent does not start", has[0])
	}
}

func (c *checking) mount(dir string) {
	if path.Clean(c.config.Plugins.CacheDir) != path.Clean(dir) {
		why := "the mirror's indexes name files below"
		if c.options.Mount != "" {
			why = "--mount is"
		}
		c.fail(audit.KindSetting, "plugins.cacheDir", "it is %q, but %s %s", c.config.Plugins.CacheDir, why, dir)
	}
	mounts := c.result.Values.Mounts
	switch {
	case mounts == nil:
		c.note("only the agent's Deployment tells whether a volume is mounted at %s: give it with --values, too", dir)
	case !mounts.MayHaveFiles(dir):
		c.fail(audit.KindSetting, "extraVolumeMounts", "no volume with files is mounted at %s: the agent would find no plugins there and download them", dir)
	}
}

// servedAt returns where agents download the mirror from, or "" if they mount it. If the options
// have both, as from a configuration file, the values decide for a bundle.
func (c *checking) servedAt() string {
	o := c.options
	switch {
	case c.isSite():
		return cmp.Or(o.BaseURL, c.BaseURL)
	case c.Access != form.Carried:
		return ""
	}
	at := c.servedBelow()
	switch {
	case o.BaseURL == "" && o.Mount == "":
		return at
	case o.Mount == "" || o.Served || at == o.BaseURL:
		return o.BaseURL
	}
	return ""
}

// servedBelow returns the base URL that the values have for the mirror as a site, or "". A server of
// a bundle has the paths of a site.
func (c *checking) servedBelow() string {
	if c.Lock == nil {
		return ""
	}
	for _, name := range c.neededRepositories() {
		url, err := site.IndexURL(agent.Nowhere, c.Lock, name)
		if err != nil {
			continue
		}
		base, found := strings.CutSuffix(c.config.Plugins.Repositories[name].URL, strings.TrimPrefix(url, agent.Nowhere))
		if found && form.CheckBaseURL(base) == nil && base != agent.Nowhere {
			return base
		}
	}
	return ""
}

func (c *checking) neededRepositories() []string {
	var names []string
	for _, p := range c.result.All() {
		name, _, _ := strings.Cut(p.Key, "/")
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (c *checking) repositoryURLs() {
	if variable := agent.ProxyVariable(c.result.Values.Environment, c.base); variable != "" {
		c.note("the agent would reach the mirror through the proxy in its variable %s: to connect directly, add the mirror's host to NO_PROXY", variable)
	}
	isMirrored, elsewhere := map[string]bool{}, ""
	for _, r := range c.Lock.Repositories {
		isMirrored[r.Name] = true
	}
	if at := c.servedBelow(); c.isSite() && at != c.base {
		elsewhere = at
	}
	for _, name := range c.neededRepositories() {
		have, isConfigured := c.config.Plugins.Repositories[name]
		if !isConfigured || !isMirrored[name] {
			continue // which was reported
		}
		want, err := site.IndexURL(c.base, c.Lock, name)
		if err == nil && have.URL != want { // without a base URL, the indexes are damaged, which was reported
			c.fail(audit.KindSetting, "plugins.repositories."+name+".url", "it is %s, but the mirror's index is at %s", agent.Redact(have.URL), want)
			c.result.elsewhere = elsewhere
		}
	}
}

func (c *checking) templates(g *audit.StartState) {
	sources, err := c.result.TemplateSources(c.result.Version)
	if err != nil {
		c.fail(audit.KindSetting, "executors", "%v", err)
		return
	}
	var served []form.Template
	downloaded := c.isSite() || c.base != ""
	if downloaded {
		if served, err = site.Templates(c.base, c.Lock); err != nil {
			return // without a base URL, the indexes are damaged, which was reported
		}
	}
	there := pluginsOf(g.Lock)
	for _, s := range sources {
		// A site's templates are downloaded, whatever the directory.
		if !c.isSite() && s.Dir != "" && (len(s.Refs) == 0 || slices.ContainsFunc(s.Refs, downloads)) {
			c.fail(audit.KindSetting, "executors."+s.Group+"."+s.Key+".config.tmpDir", "it is %q: exec would download its templates there at its first command; remove tmpDir", s.Dir)
		}
		plugin, byDefault := execOf(g, there, s.Key)
		if plugin == nil {
			continue // that it is not there was reported
		}
		if len(s.Refs) == 0 {
			s.Refs = []string{byDefault}
		}
		for _, ref := range s.Refs {
			c.template(plugin, ref, served, downloaded)
		}
	}
}

func execOf(g *audit.StartState, there plugins, s string) (plugin *lock.Plugin, byDefault string) {
	key, err := agent.DecomposePluginKey(s)
	if err != nil {
		return nil, ""
	}
	ix, err := g.Index(key.Repository)
	if err != nil {
		return nil, ""
	}
	for _, e := range ix.Versions(agent.Executor, key.Name) {
		if key.Version == "" || key.Version == e.Version {
			key.Version = e.Version
			return there.newest(agent.Executor, key), e.DefaultTemplates(key.Repository)
		}
	}
	return nil, ""
}

// template wants a source of templates to be in the mirror. If that is downloaded, the source
// must be a served one, because an agent downloads what is configured.
func (c *checking) template(p *lock.Plugin, ref string, served []form.Template, downloaded bool) {
	if ref == "" || !downloads(ref) {
		return
	}
	at := ref
	if downloaded {
		at = servedAt(served, c.base, p, ref)
	} else if mirroredTemplate(p, ref) < 0 {
		at = ""
	}
	switch at {
	case ref:
	case "":
		c.fail(audit.KindMissing, "", "templates %s of %s are not in the mirror: exec would download them at its first command", agent.Redact(ref), p.Key())
	default:
		c.fail(audit.KindSetting, "executors.*."+p.Repository+"/"+p.Name+".config.templates", "exec would download %s at its first command: set the ref to %s", agent.Redact(ref), at)
	}
}
