// Package configured reads values files. It says which plugins an agent with these values starts, what
// it connects to, and why it would refuse to start.
package configured

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/spelling"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// Agent says what an agent with given values does. It is printed as JSON.
type Agent struct {
	agent.Enablement
	// Notes are remarks for the user on how the files were read.
	Notes  []string      `json:"notes,omitempty"`
	Values *chart.Values `json:"-"`
	// ChartVersion and Version are the chart's and the agent's.
	ChartVersion string          `json:"-"`
	Version      string          `json:"-"`
	Refusals     []agent.Refusal `json:"-"`
	// PassedOver are the notes about keys that may be misspelt.
	PassedOver []string `json:"-"`
	// Undecided names what is not given, but decides what the agent does.
	Undecided []string `json:"-"`
}

// Files reads values files. They may be pipes, which can be read once only.
func Files(ctx context.Context, names []string) ([]chart.File, error) {
	var files []chart.File
	for _, name := range names {
		data, err := disk.Await(ctx, func() ([]byte, error) { return disk.ReadFile(name, agent.MaxConfig) })
		if err == nil {
			data, err = textfile.Decode(data)
		}
		if err != nil {
			e := fault.New(fault.Usage, "reading values: %s: %w", name, err)
			if near := disk.Similar(name); near != "" && errors.Is(err, fs.ErrNotExist) {
				return nil, e.WithHint("did you mean %s?", near)
			}
			return nil, e.WithHint("name the values files that you give to Helm, in the same order")
		}
		files = append(files, chart.File{Name: name, Data: data})
	}
	return files, nil
}

// Read reads values for a version of the chart, such as v1.14.0. If the version is empty, the files
// must name it. With allEnabled, every enabled plugin counts, and the chat platforms may be missing.
func Read(version string, files []chart.File, allEnabled bool) (*Agent, error) {
	values, err := chart.Read(version, files, allEnabled)
	if errors.Is(err, agent.ErrRefused) {
		return nil, fault.New(fault.Usage, "reading values: %w", err).WithHint("correct it in the values, or in extraEnv, which overrides them")
	}
	if err != nil {
		return nil, fault.New(fault.Usage, "reading values: %w", err)
	}
	c := &Agent{Notes: values.Notes, Undecided: values.NotGiven, Values: values, ChartVersion: cmp.Or(version, values.ChartVersion)}
	if c.ChartVersion == "" {
		return nil, fault.New(fault.Usage, "reading values: %w", chart.NoVersion())
	}
	c.Version = cmp.Or(values.AgentVersion, c.ChartVersion)
	if said := values.ChartVersion; said != "" && said != c.ChartVersion {
		c.note("the values are for chart %s, and are read as for %s", said, c.ChartVersion)
	}
	if c.Version != c.ChartVersion {
		c.note("image.tag in the values runs agent %s with chart %s", c.Version, c.ChartVersion)
	}
	c.unknownPlatforms()
	c.notePassedOver()
	c.judge(allEnabled)
	if allEnabled {
		values.Config = values.Config.BindAll()
	}
	c.Enablement = values.Config.Enabled(c.Version)
	return c, nil
}

func (c *Agent) unknownPlatforms() {
	known := agent.PlatformNames(c.Version)
	for _, setting := range c.Values.UnknownPlatforms(c.Version) {
		meant := ""
		if near := spelling.Nearest(setting[strings.LastIndex(setting, ".")+1:], known); near != "" {
			meant = fmt.Sprintf("; did you mean %s?", near)
		}
		c.note("%s ignores %.200q: it is not a chat platform%s; chat platforms are %s", c.Name(), setting, meant, strings.Join(known, ", "))
	}
}

func (c *Agent) notePassedOver() {
	before := len(c.Notes)
	tell := func(by string, all []agent.PassedOver) {
		for _, p := range all[:min(len(all), maxPassedOver)] {
			switch p.Effect {
			case agent.Overridden:
				c.note("%s ignores %.200q, because %.200q is set too", by, p.Setting, p.Meant)
			case agent.ByChance:
				c.note("%s reads either %.200q or %.200q, by chance: remove one of them", by, p.Setting, p.Meant)
				c.Undecided = append(c.Undecided, fmt.Sprintf("whether the agent reads %.200q or %.200q (remove one of them)", p.Setting, p.Meant))
			default:
				c.note("%s ignores the unknown key %.200q: did you mean %s?", by, p.Setting, p.Meant)
			}
		}
		if more := len(all) - maxPassedOver; more > 0 {
			c.note("%s ignores %d more keys that are similar to known ones", by, more)
		}
	}
	tell("the chart "+c.ChartVersion, c.Values.PassedOver)
	tell(c.Name(), c.Values.Config.PassedOver())
	c.PassedOver = c.Notes[before:]
}

// maxPassedOver bounds how many keys are noted.
const maxPassedOver = 20

// judge finds out why the agent would refuse the configuration. Platforms that are not given are
// no reason.
func (c *Agent) judge(unbound bool) {
	for _, r := range c.Values.Refusals(c.Version) {
		switch {
		case unbound && strings.HasPrefix(r.Setting, "communications"):
		case r.Variable == "":
			c.Refusals = append(c.Refusals, r)
		default:
			c.note("the agent refuses its configuration unless the variable %s, which is not given, changes it: %s", r.Variable, r)
			c.Undecided = append(c.Undecided, "the value of the variable "+r.Variable)
		}
	}
}

func (c *Agent) note(format string, args ...any) {
	c.Notes = append(c.Notes, fmt.Sprintf(format, args...))
}

// Name names the agent in a sentence.
func (c *Agent) Name() string { return strings.TrimSpace("the agent " + c.Version) }

// MaxRefusals bounds the refusals that are printed: one mistake may cause many.
const MaxRefusals = 50

// Check returns an error if Botkube Cloud decides what the agent starts, or if the agent would refuse
// the values.
func (c *Agent) Check() error {
	if c.Values.Remote() {
		return fault.New(fault.Usage, "reading values: the agent gets its configuration from Botkube Cloud at %s, not from these values: config.provider.identifier or CONFIG_PROVIDER_IDENTIFIER is set", agent.Redact(c.Values.Cloud)).
			WithHint("for an agent without internet access, leave config.provider.identifier empty and configure it by values\nto mirror for an agent of Botkube Cloud, name the plugins: --plugin instead of --values")
	}
	if len(c.Refusals) == 0 {
		return nil
	}
	var out strings.Builder
	for _, r := range c.Refusals[:min(len(c.Refusals), MaxRefusals)] {
		fmt.Fprintf(&out, "\n  %s", strings.ReplaceAll(r.String(), "\n", `\n`)) // names are whatever the values have
	}
	if more := len(c.Refusals) - MaxRefusals; more > 0 {
		fmt.Fprintf(&out, "\n  and %d more", more)
	}
	return fault.New(fault.Usage, "with these values, %s would refuse its configuration and not start:%s", c.Name(), &out).
		WithHint("%s", strings.Join(append(slices.Clone(c.PassedOver), "correct these settings, also those of disabled plugins: the agent checks them too", "if a setting is in another file, name all files that you give to Helm, in the same order", "to mirror without values, name the plugins: --plugin instead of --values"), "\n"))
}

// Templates returns the sources of templates of each exec plugin; "" is the plugin's default.
func (c *Agent) Templates(version string) (map[agent.PluginKey][]string, error) {
	sources, err := c.TemplateSources(version)
	if err != nil {
		return nil, err
	}
	all := map[agent.PluginKey][]string{}
	for _, s := range sources {
		key, err := agent.DecomposePluginKey(s.Key)
		if err != nil {
			return nil, fault.New(fault.Usage, "reading values: %w", err)
		}
		if len(s.Refs) == 0 {
			s.Refs = []string{""}
		}
		all[key] = append(all[key], s.Refs...)
	}
	return all, nil
}

// TemplateSources returns how each exec plugin is configured, and notes where no mirror can
// help.
func (c *Agent) TemplateSources(version string) ([]agent.TemplateSources, error) {
	sources, err := c.Values.Config.Templates(version)
	if err != nil {
		return nil, fault.New(fault.Usage, "reading values: the configuration of exec: %w", err)
	}
	for _, s := range sources {
		if s.Dir != "" {
			c.note("%s in group %s keeps its templates in %s, where no mirror can put them: remove tmpDir", s.Key, s.Group, s.Dir)
		}
	}
	return sources, nil
}

// Egress returns the connections of an agent of a version and of its plugins. Values for a mirror have
// the mirror's URLs, which do not tell whether plugins are Botkube's own. So mirrored, if not nil,
// returns the version of a plugin in the mirror and the URL of upstream's index.
func (c *Agent) Egress(version string, mirrored func(agent.PluginType, agent.PluginKey) (version, indexURL string)) agent.PluginEgress {
	config, environment := c.Values.Config, c.Values.Environment
	found := config.PluginEgress(version, func(t agent.PluginType, key agent.PluginKey) (string, bool) {
		var of, upstream string
		if mirrored != nil {
			of, upstream = mirrored(t, key)
		}
		r := agent.Repository{Name: key.Repository, URL: cmp.Or(upstream, config.Plugins.Repositories[key.Repository].URL)}
		return cmp.Or(of, key.Version, version), r.Official()
	})
	found.Calls = slices.Concat(config.Egress(version), found.Calls)
	for i, e := range found.Calls {
		found.Calls[i].Proxy = e.ProxyVariable(environment)
	}
	found.Calls = append(found.Calls, agent.ProxyEgress(environment)...)
	return found
}

// CloudedNote is the note about plugins that need Botkube Cloud.
func CloudedNote(plugins []string) string {
	return "before v1.14.0, these plugins need Botkube Cloud and only report that: " + strings.Join(plugins, ", ")
}

// WatcherImage returns the second container's image as Botkube publishes it, or "" if the values
// switch the container off. For another image, it notes how the flag mirrors that.
func (c *Agent) WatcherImage(published, flag string) string {
	for _, p := range c.Values.Pulls {
		if p.Setting != chart.WatcherSetting {
			continue
		}
		if chart.IsWatcherImage(p.Image) {
			return p.Image
		}
		c.note("nodes would pull %s for the chart's second container, but Botkube's own image is mirrored: to mirror that one, add %s=%s", p.Image, flag, p.Image)
		return published
	}
	return ""
}

// Lines say which plugins the agent does not start, and how the files were read. They have text from
// the files, which may be hostile.
func (c *Agent) Lines() []string {
	var lines []string
	for _, l := range c.LeftOut {
		lines = append(lines, fmt.Sprintf("left out: %s %s (group %s): %s", l.Type, l.Key, l.Group, l.Reason))
	}
	for _, n := range c.Notes {
		lines = append(lines, "note: "+n)
	}
	return lines
}
