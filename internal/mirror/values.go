package mirror

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/legible"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
	"github.com/botkube-mirror/botkube-mirror/internal/spelling"
)

// Configured is what values files have an agent do. It is printed as JSON for
// machines.
type Configured struct {
	agent.Enablement
	// Notes are what a person should know of how the files were read.
	Notes  []string `json:"notes,omitempty"`
	values *chart.Values
	// version is the chart's, and agent the agent's, which is another where the values
	// say so.
	version, agent string
	// refusals are why the agent would not take the configuration.
	refusals []agent.Refusal
}

// readValues reads values files, for an agent of a version of the form v1.14.0; empty,
// it is the one that they say. They must say what it starts: Botkube Cloud must not, and
// it must take them.
func readValues(version string, names []string, allEnabled bool) (*Configured, error) {
	files, err := valuesFiles(names)
	if err != nil {
		return nil, err
	}
	c, err := parseValues(version, files, allEnabled)
	if err != nil {
		return nil, err
	}
	if c.values.Remote() {
		return nil, fault.New(fault.Usage, "reading values: config.provider.identifier, or the variable CONFIG_PROVIDER_IDENTIFIER, is set, so that the agent gets its configuration from Botkube Cloud at %s, and starts what that says", agent.Redact(c.values.Cloud)).
			WithHint("an agent that makes no call to the outside has it empty, and is configured by its values; to mirror for one that has not, pull with --plugin in the place of --values")
	}
	return c, c.refused()
}

// maxRefusals bounds those that are told: one mistake may have many.
const maxRefusals = 50

// refused is the error of values with which an agent does not start.
func (c *Configured) refused() error {
	if len(c.refusals) == 0 {
		return nil
	}
	var out strings.Builder
	for i, r := range c.refusals {
		if i == maxRefusals {
			fmt.Fprintf(&out, "\n  and %d more", len(c.refusals)-i)
			break
		}
		fmt.Fprintf(&out, "\n  %s", strings.ReplaceAll(r.String(), "\n", `\n`)) // names are whatever the values have
	}
	return fault.New(fault.Usage, "with these values, %s would refuse its configuration, and not start:%s", agentOf(c.agent), &out).
		WithHint("correct them, also where nothing is enabled, for the agent looks there too; what is missing may be in another file that Helm is given: name all of them, in its order\nto mirror without them, name plugins: --plugin in the place of --values")
}

// agentOf is what an agent of a version, which may not be known, is called.
func agentOf(version string) string {
	if version == "" {
		return "an agent"
	}
	return "an agent " + version
}

// valuesFiles reads files, which may be pipes, and so can be read once only.
func valuesFiles(names []string) ([]chart.File, error) {
	var files []chart.File
	for _, name := range names {
		data, err := readSmall(name)
		if err != nil {
			return nil, fault.New(fault.Usage, "reading values: %w", err)
		}
		files = append(files, chart.File{Name: name, Data: data})
	}
	return files, nil
}

// parseValues reads what files say, also of an agent that Botkube Cloud configures. All
// that is enabled may count, bound or not; then the chat platforms may be missing.
func parseValues(version string, files []chart.File, allEnabled bool) (*Configured, error) {
	read := chart.Read
	if allEnabled {
		read = chart.ReadUnbound
	}
	values, err := read(version, files)
	if err != nil {
		return nil, valuesError(err)
	}
	c := &Configured{Notes: values.Notes, values: values, version: cmp.Or(version, values.Said)}
	if c.version == "" {
		return nil, valuesError(chart.ErrNoVersion)
	}
	c.agent = cmp.Or(values.Tag, c.version)
	c.compareVersions()
	c.unknownPlatforms()
	c.judge(c.agent, allEnabled)
	if allEnabled {
		values.Config = values.Config.BindAll()
	}
	c.Enablement = values.Config.Enabled(c.agent)
	return c, nil
}

// unknownPlatforms tells of chat platforms that the agent passes over.
func (c *Configured) unknownPlatforms() {
	known := agent.PlatformNames(c.agent)
	for _, setting := range c.values.UnknownPlatforms(c.agent) {
		name := setting[strings.LastIndex(setting, ".")+1:]
		meant := ""
		if near := spelling.Nearest(name, known); near != "" {
			meant = fmt.Sprintf("; %s may be meant", near)
		}
		c.Notes = append(c.Notes, fmt.Sprintf("%.200q: %s has no such chat platform, and passes over it, with what it binds%s; there are %s", setting, agentOf(c.agent), meant, strings.Join(known, ", ")))
	}
}

// compareVersions tells of files that say another version than the one that counts.
func (c *Configured) compareVersions() {
	if said := c.values.Said; said != "" && said != c.version {
		c.Notes = append(c.Notes, fmt.Sprintf("the values are for the chart %s, and are read as for %s", said, c.version))
	}
	if c.agent != c.version {
		c.Notes = append(c.Notes, fmt.Sprintf("image.tag in the values has the agent %s run, with the chart %s", c.agent, c.version))
	}
}

// judge finds out why the agent would not take the configuration. Chat platforms that are
// not given are no reason.
func (c *Configured) judge(version string, unbound bool) {
	for _, r := range c.values.Refusals(version) {
		if unbound && strings.HasPrefix(r.Setting, "communications") {
			continue
		}
		if r.Variable == "" {
			c.refusals = append(c.refusals, r)
			continue
		}
		c.Notes = append(c.Notes, fmt.Sprintf("unless the variable %s, whose value is not given, has it otherwise, the agent refuses its configuration: %s", r.Variable, r))
	}
}

// readSmall reads a file, or a pipe, of at most the size of a configuration.
func readSmall(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil {
		return nil, err
	} else if fi.IsDir() {
		return nil, fmt.Errorf("%s is a directory", name)
	}
	data, err := io.ReadAll(io.LimitReader(f, agent.MaxConfig+1))
	if err == nil && len(data) > agent.MaxConfig {
		err = fmt.Errorf("%s has more than the %d bytes that are read", name, agent.MaxConfig)
	}
	if err != nil {
		return nil, err
	}
	if data, err = legible.Text(data); err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return data, err
}

// withoutPlatforms is what to do where a Secret is not at hand.
const withoutPlatforms = "without it, --all-enabled takes every plugin that the values enable, bound or not"

// valuesError adds the next step.
func valuesError(err error) error {
	wrapped := fault.New(fault.Usage, "reading values: %w", err)
	if secret, ok := errors.AsType[*chart.MissingSecret](err); ok {
		return wrapped.WithHint("give it too: kubectl get secret %s -o yaml > platforms.yaml, and --values platforms.yaml\n%s", secret.Name, withoutPlatforms)
	}
	if errors.Is(err, chart.ErrNoPlatforms) {
		return wrapped.WithHint("give it too: kubectl get secret NAME -o yaml > platforms.yaml, and --values platforms.yaml; the chart calls it botkube-communication-secret, unless existingCommunicationsSecretName names another\n" + withoutPlatforms)
	}
	if errors.Is(err, chart.ErrNoConfiguration) {
		return wrapped.WithHint("give all of what helm template renders, or of kubectl get configmap,secret,deployment -o yaml in the agent's namespace; or give Helm values too")
	}
	if errors.Is(err, agent.ErrRefused) {
		return wrapped.WithHint("correct it in the values, or in the variables (extraEnv) that win over them")
	}
	if errors.Is(err, chart.ErrNoVersion) {
		return wrapped.WithHint("give it: --version v1.14.0; or give what helm template renders, whose labels say it")
	}
	return wrapped
}

// applyValues lets values files say what is mirrored: what an agent with them
// starts, of the repositories that it takes them from.
func applyValues(req *resolve.Request, sel Selection) (*Configured, error) {
	c, err := readValues(req.Version, sel.Values, sel.AllEnabled)
	if _, missing := errors.AsType[*chart.MissingSecret](err); missing || errors.Is(err, chart.ErrNoPlatforms) {
		return nil, fault.New(fault.Usage, "%w", err).WithHint("%s\nor name plugins: --plugin REPOSITORY/NAME in the place of --values", fault.HintOf(err))
	}
	if err != nil {
		return nil, err
	}
	req.Version = c.version
	c.applyImages(req)
	if len(c.Executors)+len(c.Sources)+len(sel.Plugins) == 0 {
		return nil, fault.New(fault.Usage, "with these values, an agent starts no plugin%s", c.reasons()).
			WithHint("%s", strings.Join(append(slices.Clone(c.Notes), "enable a plugin, and bind its group to a channel of a platform that is enabled; or name plugins with --plugin"), "\n"))
	}
	s := &req.Selection
	s.Plugins = slices.Clone(sel.Plugins)
	if s.Executors, err = pluginKeys(agent.Executor, c.Executors); err != nil {
		return nil, err
	}
	if s.Sources, err = pluginKeys(agent.Source, c.Sources); err != nil {
		return nil, err
	}
	c.noteExcluded(slices.Concat(s.Executors, s.Sources), sel.Exclude)
	if req.Templates.Configured, err = c.templates(req.Version); err != nil {
		return nil, err
	}
	if found := c.egress(req.Version, nil); len(found.Clouded) > 0 {
		c.Notes = append(c.Notes, cloudedNote(found.Clouded))
	}
	return c, c.applyRepositories(req)
}

// noteExcluded tells of plugins that an agent with the values starts, and that are left out.
func (c *Configured) noteExcluded(started, excluded []agent.PluginKey) {
	for _, key := range started {
		for _, out := range excluded {
			if out.Repository == key.Repository && out.Name == key.Name && (out.Version == "" || out.Version == key.Version) {
				c.Notes = append(c.Notes, fmt.Sprintf("the values enable %s, which --exclude leaves out: an agent with them does not start from the mirror alone; disable it there, too", key))
			}
		}
	}
}

// applyImages has the agent's image be the one that the values name, as far as Botkube
// publishes it.
func (c *Configured) applyImages(req *resolve.Request) {
	if req.Members.AgentImage == "" {
		return
	}
	for _, p := range c.values.Pulls {
		if p.Setting == "image" && req.Members.AgentImage == resolve.Default && !resolve.IsAgentImage(p.Image) {
			c.Notes = append(c.Notes, fmt.Sprintf("the values have nodes pull the agent's image %s, and Botkube's own is mirrored: --with-agent-image=%s mirrors that", p.Image, p.Image))
		}
	}
	req.Members.AgentTag = c.values.ImageTag
}

// reasons lists what is left out.
func (c *Configured) reasons() string {
	var out strings.Builder
	for _, l := range c.LeftOut {
		fmt.Fprintf(&out, "\n  %s %s in group %s: %s", l.Type, l.Key, l.Group, l.Reason)
	}
	if out.Len() == 0 {
		return ""
	}
	return ":" + out.String()
}

// pluginKeys parses the keys of plugins that an agent starts.
func pluginKeys(t agent.PluginType, enabled []agent.EnabledPlugin) ([]agent.PluginKey, error) {
	var keys []agent.PluginKey
	for _, p := range enabled {
		key, err := agent.ParsePluginKey(strings.TrimSuffix(p.Key, "@"))
		if err != nil {
			return nil, fault.New(fault.Usage, "the %s in group %s: %w", t, strings.Join(p.Groups, ", "), err).
				WithHint("correct the key in the values: an agent refuses a configuration that has it")
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// applyRepositories takes the repositories that are needed from the values, but for
// those that are given otherwise. Header fields are for the URL that they are
// configured with, and so are the credentials in it, which a lock does not have.
func (c *Configured) applyRepositories(req *resolve.Request) error {
	configured := c.values.Config.Plugins.Repositories
	for _, key := range slices.Concat(req.Selection.Executors, req.Selection.Sources, req.Selection.Plugins) {
		name := key.Repository
		r, found := configured[name]
		if i := slices.IndexFunc(req.Repositories, func(r agent.Repository) bool { return r.Name == name }); i >= 0 {
			have := &req.Repositories[i]
			if found && agent.Redact(have.URL) == agent.Redact(r.URL) {
				have.Headers = r.Headers
				if have.URL == agent.Redact(have.URL) {
					have.URL = r.URL
				}
			}
			continue
		}
		if !found || r.URL == "" {
			return fault.New(fault.Usage, "plugin %s: %w", key, index.Unknown("repository", name, c.values.Config.RepositoryNames())).
				WithHint("configure plugins.repositories.%s.url in the values, or give --repository %s=URL", name, name)
		}
		req.Repositories = append(req.Repositories, agent.Repository{Name: name, URL: r.URL, Headers: r.Headers})
	}
	return nil
}
