package mirror

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
	"github.com/botkube-mirror/botkube-mirror/internal/form/site"
)

// CheckedValues is what an agent with given values would do with a mirror. It is
// printed as JSON for machines.
type CheckedValues struct {
	*configured.Agent
	// Alone says that it would start from the mirror, and call nobody that a value
	// would stop it from calling. What it and its plugins call while they run, because
	// that is what they are for, does not count: that is Egress.
	Alone bool `json:"alone"`
	// Refused says that the agent would refuse its configuration, for reasons that are
	// among the problems.
	Refused bool `json:"refused"`
	// External are the downloads from elsewhere, at its start.
	External []audit.Call `json:"externalCalls"`
	// Egress are the calls that it and its plugins make while they run, but for those
	// to the API server.
	Egress []agent.Egress `json:"egress"`
	// Unknown are the plugins of which it is not known whom they call: those that are
	// not Botkube's own.
	Unknown []string `json:"unknownEgress,omitempty"`

	// problems are those that the values have, each once.
	problems []audit.Problem
	// refusedByValues counts those for which the agent would refuse them, and which no variable
	// comes into.
	refusedByValues int
	// elsewhere is where the values have an agent look for a site that is written
	// for another place.
	elsewhere string
	// variables are those of the environment that problems come from.
	variables []string
}

// remedy says what to do about values that do not go with a mirror.
func (c *CheckedValues) remedy(target string) string {
	var steps []string
	if c.Values.Remote() {
		steps = append(steps, `configure the agent by its values: set config.provider.identifier: "" in yours, for until then Botkube Cloud decides what it starts`)
	}
	missing := 0
	for _, p := range c.problems {
		if p.Kind == audit.KindMissing {
			missing++
		}
	}
	if missing > 0 {
		steps = append(steps, "mirror what these values enable: pull with the same --values, where there is internet; or disable it in the values")
	}
	if len(c.Refusals) > 0 {
		steps = append(steps, "correct in your values what the agent refuses, also where nothing is enabled, for it looks there too")
	}
	if len(c.variables) > 0 {
		steps = append(steps, "take out of the agent's environment (extraEnv), which wins over all values: "+strings.Join(c.variables, ", "))
	}
	if len(c.problems) > missing+len(c.variables)+c.refusedByValues {
		steps = append(steps, fmt.Sprintf("lay over your values what this prints: botkube-mirror values %s --values YOURS.yaml, with --pvc, --seed-from, --image or --base-url", target))
	}
	if c.elsewhere != "" {
		steps = append(steps, "or, if botkube-mirror serve answers at the URL of the values, which writes the indexes for it, say so: --served --base-url "+c.elsewhere)
	}
	return strings.Join(steps, "\n")
}

// tryValues reads the values before anything else is, for they may be wrong, and to
// verify may take long.
func (v *verifying) tryValues() (err error) {
	if len(v.options.Values) == 0 {
		return nil
	}
	if v.valuesFiles, err = configured.Files(v.options.Values); err != nil {
		return err
	}
	_, err = configured.Read(chart.Newest, v.valuesFiles, v.options.AllEnabled)
	return err
}

// chartVersion is that of the mirror, or else what the options say.
func (v *verifying) chartVersion() string {
	given := v.options.Version
	if given != "" && given[0] >= '0' && given[0] <= '9' {
		given = "v" + given
	}
	if v.lock == nil || v.lock.BotkubeVersion == "" {
		return given
	}
	if of := v.lock.BotkubeVersion; given != "" && given != of {
		v.report.Note(fmt.Sprintf("the mirror is of %s, so that the values are judged by that chart, not by that of %s", of, given))
	}
	return v.lock.BotkubeVersion
}

// values says what an agent with the values would do.
func (v *verifying) values() error {
	if len(v.options.Values) == 0 {
		return nil
	}
	if v.lock == nil && v.result.Kind == KindSite {
		return fault.New(fault.Usage, "%s has several versions, and an agent starts from one", v.result.name()).
			WithHint("name it: botkube-mirror verify %s/VERSION --values …", v.options.Target)
	}
	of, err := v.readValues()
	if err != nil {
		return err
	}
	c := &checkingValues{
		verifying: v, version: of.Version, config: of.Values.Config,
		result: &CheckedValues{Agent: of, External: []audit.Call{}, Egress: []agent.Egress{}},
	}
	c.base = c.servedAt()
	c.check()
	v.result.Values = c.result
	return nil
}

// readValues reads the values for the version that they say, or else that of the mirror:
// what a document installs is what runs, unless the options say that it does not.
func (v *verifying) readValues() (*configured.Agent, error) {
	mirrored := v.chartVersion()
	c, err := configured.Read(mirrored, v.valuesFiles, v.options.AllEnabled)
	if err != nil || v.options.Version != "" || c.Values.ChartVersion == "" || c.Values.ChartVersion == mirrored {
		return c, err
	}
	if mirrored != "" {
		v.report.Note(fmt.Sprintf("the mirror is of %s, and what the values say is for %s: they are judged as for that", mirrored, c.Values.ChartVersion))
	}
	return configured.Read(c.Values.ChartVersion, v.valuesFiles, v.options.AllEnabled)
}

// servedAt returns where agents download the mirror from, or "" if they mount it.
// The options may have both, from a configuration file: of a bundle, either can be
// made, and the values choose.
func (c *checkingValues) servedAt() string {
	o := c.options
	switch c.verifying.result.Kind {
	case KindSite:
		return cmp.Or(o.BaseURL, c.verifying.result.BaseURL)
	case KindBundle:
		at := c.servedBelow()
		switch {
		case o.BaseURL == "" && o.Mount == "":
			return at
		case o.Mount == "" || o.Served || at == o.BaseURL:
			return o.BaseURL
		}
	}
	return ""
}

// servedBelow returns where the values have an agent download the files of a bundle
// or a site, or "": as from a site of it, or from a server (see serve), whose paths
// are those of a site.
func (c *checkingValues) servedBelow() string {
	if c.lock == nil {
		return ""
	}
	const anywhere = "http://mirror.invalid"
	for _, name := range c.neededRepositories() {
		url, err := site.IndexURL(anywhere, c.lock, name)
		if err != nil {
			continue
		}
		base, found := strings.CutSuffix(c.config.Plugins.Repositories[name].URL, strings.TrimPrefix(url, anywhere))
		if found && site.CheckBaseURL(base) == nil && base != anywhere {
			return base
		}
	}
	return ""
}

// neededRepositories are those of enabled plugins, in order.
func (c *checkingValues) neededRepositories() []string {
	var names []string
	for _, p := range slices.Concat(c.result.Executors, c.result.Sources) {
		name, _, _ := strings.Cut(p.Key, "/")
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// checkingValues is one run of [verifying.values].
type checkingValues struct {
	*verifying
	version string
	config  *agent.Config
	result  *CheckedValues
	// base is where the mirror is served, if the agent downloads it: that of a
	// site, or that of which the values take a bundle for. See [servedBelow].
	base string
}

func (c *checkingValues) fail(kind audit.Kind, path, format string, args ...any) {
	p := audit.Problem{Kind: kind, Path: path, Detail: fmt.Sprintf(format, args...)}
	variable := c.variable(path)
	if variable != "" {
		p.Detail += "; the variable " + variable + " says so"
	}
	if slices.Contains(c.result.problems, p) {
		return // it is the same on several platforms
	}
	if variable != "" {
		c.result.variables = append(c.result.variables, variable)
	}
	c.result.problems = append(c.result.problems, p)
	c.report.Fail(p)
}

// variable returns the environment variable that a value of the configuration comes
// from, or "".
func (c *checkingValues) variable(value string) string {
	for _, name := range slices.Sorted(maps.Keys(c.result.Values.Environment)) {
		if key, ok := agent.EnvironmentKey(name); ok && key == value && value != "" {
			return name
		}
	}
	return ""
}

func (c *checkingValues) check() {
	intact := len(c.report.Problems()) == 0
	if len(c.result.Executors)+len(c.result.Sources) == 0 {
		c.report.Note("with these values, an agent starts no plugin")
	}
	for _, g := range c.report.Grounds() {
		c.plugins(g)
	}
	if grounds := c.report.Grounds(); len(grounds) > 0 {
		c.templates(grounds[0]) // they are the same on every platform
	}
	c.refusals()
	c.settings()
	found := c.result.Agent.Egress(c.version, mirroredIn(c.lock))
	c.result.Egress, c.result.Unknown = slices.Concat(c.cloud(), found.Calls, c.imagePulls()), found.Unknown
	if len(found.Unknown) > 0 {
		c.report.Note("whom plugins call that are not Botkube's own is not known: " + strings.Join(found.Unknown, ", "))
	}
	if len(found.NeedCloud) > 0 {
		c.report.Note(configured.CloudedNote(found.NeedCloud))
	}
	for _, e := range c.result.Egress {
		if e.Stop != "" && !e.ByNode {
			c.fail(audit.KindSetting, e.Setting, "the agent would call %s for %s: set %s", e.Destination, e.Purpose, e.Stop)
		}
	}
	c.result.Alone = intact && len(c.result.problems) == 0
}

// mirroredIn says what a lock has of plugins.
func mirroredIn(l *lock.Lock) configured.Mirrored {
	if l == nil {
		return nil
	}
	return func(t agent.PluginType, key agent.PluginKey) (version, indexURL string) {
		if p := newestOf(l, t, key.String()); p != nil {
			version = p.Version
		}
		if i := slices.IndexFunc(l.Repositories, func(r lock.Repository) bool { return r.Name == key.Repository }); i >= 0 {
			indexURL = l.Repositories[i].URL
		}
		return version, indexURL
	}
}

// refusals says why the agent would not take its configuration.
func (c *checkingValues) refusals() {
	problems, variables := len(c.result.problems), len(c.result.variables)
	for i, r := range c.result.Refusals {
		if i == configured.MaxRefusals {
			c.fail(audit.KindSetting, "", "%d more, for which %s would refuse its configuration", len(c.result.Refusals)-i, c.result.Name())
			break
		}
		c.fail(audit.KindSetting, r.Setting, "%s: %s would refuse its configuration", r.Reason, c.result.Name())
	}
	c.result.Refused = len(c.result.Refusals) > 0
	c.result.refusedByValues = len(c.result.problems) - problems - (len(c.result.variables) - variables)
}

// cloud is Botkube Cloud, if the agent gets its configuration from there.
func (c *checkingValues) cloud() []agent.Egress {
	if !c.result.Values.Remote() {
		return nil
	}
	return []agent.Egress{{
		Destination: agent.Origin(c.result.Values.Cloud), Purpose: "its configuration from Botkube Cloud, which then decides what it starts in the place of these values",
		Setting: "config.provider.identifier", Stop: `config.provider.identifier: ""`,
	}}
}

// imagePulls are how images get to a node.
func (c *checkingValues) imagePulls() []agent.Egress {
	var calls []agent.Egress
	for _, p := range c.result.Values.Pulls {
		host := p.Registry()
		calls = append(calls, agent.Egress{Destination: host, Purpose: "pulling the image " + p.Image, Setting: p.Setting, Stop: p.Stop, ByNode: true, InCluster: agent.InCluster(host)})
	}
	return calls
}

// plugins says which plugins an agent on a platform would not have, or would
// download from elsewhere.
func (c *checkingValues) plugins(g audit.StartState) {
	configured := map[string]string{}
	for name, r := range c.config.Plugins.Repositories {
		configured[name] = r.URL
	}
	// What a site's indexes must be called is checked as a setting. Here it is
	// what would be found there.
	if c.verifying.result.Kind != KindSite {
		g.URLs = configured
	}
	for _, of := range []struct {
		kind    agent.PluginType
		plugins []agent.EnabledPlugin
	}{{agent.Executor, c.result.Executors}, {agent.Source, c.result.Sources}} {
		for _, p := range of.plugins {
			c.plugin(g, of.kind, p, configured)
		}
	}
}

func (c *checkingValues) plugin(g audit.StartState, t agent.PluginType, p agent.EnabledPlugin, configured map[string]string) {
	what := fmt.Sprintf("%s %s, which group %s enables", t, p.Key, strings.Join(p.Groups, " and "))
	key, err := agent.ParsePluginKey(strings.TrimSuffix(p.Key, "@"))
	if err != nil {
		return // which is a reason for the agent to refuse the values
	}
	if _, there := configured[key.Repository]; !there {
		c.fail(audit.KindSetting, "plugins.repositories."+key.Repository, "the repository is not configured, but for %s", what)
		return
	}
	if missing := notMirrored(g.Lock, t, key, g.Platform); missing != "" {
		then := "an agent would start over, and ask for " + agent.Redact(configured[key.Repository])
		if configured[key.Repository] == "" {
			then = "an agent would not start" // there is nowhere to ask
		}
		c.fail(audit.KindMissing, "", "%s: %s; %s", what, missing, then)
		return
	}
	calls, err := g.PredictOne(t, p.Key)
	c.result.External = append(c.result.External, calls...)
	if err != nil || len(calls) > 0 {
		// Of a mirror that is not intact, the files that are missing stand among
		// the problems; this is what it comes to.
		detail := "it would be downloaded from elsewhere"
		if err != nil {
			detail = err.Error()
		}
		c.fail(audit.KindMissing, "", "%s, would not start on %s from the mirror alone: %s", what, g.Platform, detail)
	}
}

// notMirrored says what of a plugin a lock does not have, or nothing.
func notMirrored(l *lock.Lock, t agent.PluginType, key agent.PluginKey, p agent.Platform) string {
	var versions []string
	var platforms []agent.Platform
	for _, plugin := range l.Plugins {
		if plugin.Repository != key.Repository || plugin.Type != t || plugin.Name != key.Name {
			continue
		}
		versions = append(versions, plugin.Version)
		if key.Version != "" && plugin.Version != key.Version {
			continue
		}
		for _, b := range plugin.Builds {
			platforms = append(platforms, b.Platform)
		}
	}
	switch {
	case len(versions) == 0:
		return "it is not in the mirror"
	case len(platforms) == 0:
		return "the mirror has it as " + strings.Join(versions, " and ")
	case !slices.Contains(platforms, p):
		return fmt.Sprintf("the mirror does not have it for %s, but for %s", p, agent.JoinPlatforms(platforms))
	}
	return ""
}

// settings says which values lead elsewhere than to the mirror.
func (c *checkingValues) settings() {
	r := c.verifying.result
	dir, given := c.config.Plugins.CacheDir, c.options.Place
	switch {
	case r.Kind == KindSite || c.base != "" && given.BaseURL != "":
		c.repositoryURLs()
	case c.base != "":
		c.repositoryURLs()
		c.report.Note(fmt.Sprintf("it is taken that %s serves what is in the bundle: a site of it, or botkube-mirror serve", c.base))
	case r.Mount+given.Mount != "":
		c.mount(cmp.Or(given.Mount, r.Mount))
	case dir == deploy.SiteCacheDir:
		c.fail(audit.KindSetting, "plugins.cacheDir", "it is %q, where the chart mounts an empty directory: the agent would find nothing there, and ask for its repositories", dir)
	default:
		c.mount(dir)
		c.report.Note(fmt.Sprintf("it is taken that the agent sees at %s what is made of the bundle: verify that with --values, too", dir))
	}
}

// mount wants the agent to see the mirror where it was made for.
func (c *checkingValues) mount(dir string) {
	if path.Clean(c.config.Plugins.CacheDir) != path.Clean(dir) {
		why := "the indexes of the mirror name files below"
		if c.options.Mount != "" {
			why = "the agent is to see the mirror at"
		}
		c.fail(audit.KindSetting, "plugins.cacheDir", "it is %q, but %s %s", c.config.Plugins.CacheDir, why, dir)
	}
	mounts := c.result.Values.Mounts
	switch {
	case mounts == nil:
		c.report.Note(fmt.Sprintf("whether an agent sees something at %s is in its Deployment: give that, too", dir))
	case !mounts.MayHaveFiles(dir):
		c.fail(audit.KindSetting, "extraVolumeMounts", "no volume is mounted at %s, or an empty one, so that an agent would find nothing there, and download all that it starts", dir)
	}
}

// repositoryURLs wants the repositories of enabled plugins to be those of the site.
func (c *checkingValues) repositoryURLs() {
	if variable := agent.ProxyVariable(c.result.Values.Environment, c.base); variable != "" {
		c.report.Note(fmt.Sprintf("the agent would ask for the mirror through the proxy that %s in its environment names; with the mirror's host in NO_PROXY, it asks directly", variable))
	}
	for _, name := range c.neededRepositories() {
		have, configured := c.config.Plugins.Repositories[name]
		mirrored := slices.ContainsFunc(c.lock.Repositories, func(r lock.Repository) bool { return r.Name == name })
		if !configured || !mirrored {
			continue // which was reported
		}
		want, err := site.IndexURL(c.base, c.lock, name)
		if err == nil && have.URL != want { // without a base URL, the indexes are damaged, which was reported
			c.fail(audit.KindSetting, "plugins.repositories."+name+".url", "it is %s, and the mirror's index is at %s", agent.Redact(have.URL), want)
			if at := c.servedBelow(); c.verifying.result.Kind == KindSite && at != c.base {
				c.result.elsewhere = at
			}
		}
	}
}
