// Package configured reads values files, and says what an agent with them does: which plugins it
// starts, whom it calls, and why it would refuse to start.
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

// Agent is what values files have an agent do. It is printed as JSON for machines.
type Agent struct {
	agent.Enablement
	// Notes are what a person should know of how the files were read.
	Notes  []string      `json:"notes,omitempty"`
	Values *chart.Values `json:"-"`
	// ChartVersion and Version are the chart's and the agent's.
	ChartVersion string          `json:"-"`
	Version      string          `json:"-"`
	Refusals     []agent.Refusal `json:"-"`
	// PassedOver are those of the notes that are about keys that may be misspelt.
	PassedOver []string `json:"-"`
	// Undecided names what decides over the agent and is not among the files.
	Undecided []string `json:"-"`
}

// Files reads files. They may be pipes, and so can be read once only.
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
			return nil, e.WithHint("name the values files that you give to Helm, in its order")
		}
		files = append(files, chart.File{Name: name, Data: data})
	}
	return files, nil
}

// Read reads files for a chart of a version of the form v1.14.0; empty, it is the version that
// they say. If all that is enabled counts, bound or not, the chat platforms may be missing.
func Read(version string, files []chart.File, allEnabled bool) (*Agent, error) {
	values, err := chart.Read(version, files, allEnabled)
	if errors.Is(err, agent.ErrRefused) {
		return nil, fault.New(fault.Usage, "reading values: %w", err).WithHint("correct it in the values, or in the variables (extraEnv) that win over them")
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
		c.note("the values are for the chart %s, and are read as for %s", said, c.ChartVersion)
	}
	if c.Version != c.ChartVersion {
		c.note("image.tag in the values has the agent %s run, with the chart %s", c.Version, c.ChartVersion)
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
			meant = fmt.Sprintf("; %s may be meant", near)
		}
		c.note("%.200q: %s has no such chat platform, and passes over it, with what it binds%s; there are %s", setting, c.Name(), meant, strings.Join(known, ", "))
	}
}

func (c *Agent) notePassedOver() {
	before := len(c.Notes)
	tell := func(by string, all []agent.PassedOver) {
		for _, p := range all[:min(len(all), maxPassedOver)] {
			switch p.Effect {
			case agent.Overridden:
				c.note("%.200q: %s passes over it, because %.200q is there, too", p.Setting, by, p.Meant)
			case agent.ByChance:
				c.note("%.200q: %s reads it or %.200q beside it, by chance: leave one of them out", p.Setting, by, p.Meant)
				c.Undecided = append(c.Undecided, fmt.Sprintf("which of %.200q and %.200q beside it the agent reads (leave one of them out)", p.Setting, p.Meant))
			default:
				c.note("%.200q: %s has no such key, and passes over it; %s may be meant", p.Setting, by, p.Meant)
			}
		}
		if more := len(all) - maxPassedOver; more > 0 {
			c.note("%s passes over %d more keys that are like those that it has", by, more)
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
			c.note("unless the variable %s, whose value is not given, has it otherwise, the agent refuses its configuration: %s", r.Variable, r)
			c.Undecided = append(c.Undecided, "the value of the variable "+r.Variable)
		}
	}
}

func (c *Agent) note(format string, args ...any) {
	c.Notes = append(c.Notes, fmt.Sprintf(format, args...))
}

// Name is what the agent is called in a sentence.
func (c *Agent) Name() string { return strings.TrimSpace("an agent " + c.Version) }

// MaxRefusals bounds those that are told: one mistake may have many.
const MaxRefusals = 50

// Check wants the values to decide what the agent starts, and the agent to take them.
func (c *Agent) Check() error {
	if c.Values.Remote() {
		return fault.New(fault.Usage, "reading values: config.provider.identifier, or the variable CONFIG_PROVIDER_IDENTIFIER, is set, so that the agent gets its configuration from Botkube Cloud at %s, and starts what that says", agent.Redact(c.Values.Cloud)).
			WithHint("an agent that makes no call to the outside has it empty, and is configured by its values; to mirror for one that has not, pull with --plugin in the place of --values")
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
	return fault.New(fault.Usage, "with these values, %s would refuse its configuration, and not start:%s", c.Name(), &out).
		WithHint("%s", strings.Join(append(slices.Clone(c.PassedOver), "correct them, also where nothing is enabled, for the agent looks there too; what is missing may be in another file that Helm is given: name all of them, in its order", "to mirror without them, name plugins: --plugin in the place of --values"), "\n"))
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
			c.note("%s in group %s keeps its templates in %s (tmpDir), where no mirror can put them: leave that out", s.Key, s.Group, s.Dir)
		}
	}
	return sources, nil
}

// Egress returns the calls of an agent of a version and of its plugins. Values for a mirror do
// not tell by its URLs whose plugins it has: mirrored, if not nil, says which version of a
// plugin the mirror has, and where upstream's index is.
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

// CloudedNote tells of plugins that are Botkube Cloud's.
func CloudedNote(plugins []string) string {
	return "before v1.14.0, these do nothing without Botkube Cloud but say so: " + strings.Join(plugins, ", ")
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
		c.note("the values have nodes pull the image %s for the chart's second container, and Botkube's own is mirrored: %s=%s mirrors that", p.Image, flag, p.Image)
		return published
	}
	return ""
}

// Lines say which plugins the agent does not start, and how the files were read. They hold text
// from outside.
func (c *Agent) Lines() []string {
	var lines []string
	for _, l := range c.LeftOut {
		lines = append(lines, fmt.Sprintf("left out: %s %s in group %s, because %s", l.Type, l.Key, l.Group, l.Reason))
	}
	for _, n := range c.Notes {
		lines = append(lines, "note: "+n)
	}
	return lines
}
