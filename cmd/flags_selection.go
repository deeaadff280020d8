package cmd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/index"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/resolve"
)

type selectionFlags struct {
	resolve.Selection
	subsetFlags
	repositories, headers, dependencies []string
}

// register adds the flags of a command that mirrors, or with show, of one that lists.
func (s *selectionFlags) register(c *cobra.Command, show bool) {
	flags := c.Flags()
	title, does, additional := mirrorFlags, "Mirror", "Add %s to the bundle"
	defaultPlugins, defaultPlatforms := "all, in their newest version", "linux/amd64"
	if show {
		title, does, additional = "What to show", "Show", "Show %s too"
		defaultPlugins, defaultPlatforms = "all", "all"
	}
	flags.StringVar(&s.Version, "version", "", "`VERSION` "+does+" the plugins of this Botkube release, such as v1.14.0. latest is the newest one. The default repositories depend on it.")
	flags.StringArrayVar(&s.Values, "values", nil, "`FILE` "+does+" what an agent with these Helm values starts. FILE has values of Botkube's chart, a Flux or Argo CD document with such values, or objects that the chart rendered. Plugins come from the repositories that the values name. Later files win over earlier ones.")
	allEnabledFlag(flags, &s.AllEnabled)
	flags.StringArrayVar(&s.repositories, "repository", nil, "`NAME=URL` Read this plugin index, instead of Botkube's own ones. NAME is the repository's name in the agent's configuration. URL may also be a path.")
	headerFlag(flags, &s.headers)
	flags.StringArrayVar(&s.plugins, "plugin", nil, "`REPOSITORY/NAME[@VERSION]` "+does+" only this plugin, and those of --values. Commas may separate several. (default: "+defaultPlugins+")")
	flags.StringArrayVar(&s.exclude, "exclude", nil, "`REPOSITORY/NAME` Leave out this plugin. Commas may separate several.")
	flags.StringArrayVar(&s.platforms, "platform", nil, "`OS/ARCH` "+does+" files for this platform, or for all. Commas may separate several. (default: "+defaultPlatforms+")")
	flags.StringArrayVar(&s.dependencies, "dependency", nil, "`REPOSITORY/PLUGIN:NAME=URL` Replace a plugin's dependency with another build. In the URL, {os} and {arch} stand for the platform, and ?checksum=sha256:HEX pins the file. URL may also be a path. PLUGIN@VERSION and NAME@OS/ARCH restrict the replacement.")
	flags.StringVar(&s.Lock, "lock", "", "`FILE` "+does+" exactly what this lock pins. It is an error if a file is not in the lock or differs from it. Select a part with --plugin, --exclude and --platform.")
	flags.BoolVar(&s.RequireChecksums, "require-checksums", false, "Refuse unverified files. A file is verified if the index, its publisher or an earlier lock gives a checksum.")
	flags.StringArrayVar(&s.Templates.Add, "exec-template", nil, "`REF` "+does+" these templates for the executor exec too. REF is written as in the executor's configuration. Its default templates are always included.")
	flags.BoolVar(&s.Templates.None, "no-exec-templates", false, "Leave out all templates of the executor exec")
	group(flags, title)
	flags.StringVar(&s.Members.AgentImage, "with-agent-image", "", "`=REFERENCE` "+fmt.Sprintf(additional, "the agent's image")+". Without REFERENCE, it is the image of the Botkube version.")
	flags.StringVar(&s.Members.WatcherImage, "watcher-image", "", "`REFERENCE` Image of the second container of old charts. Charts v1.0.0 to v1.4.1 run one. --with-agent-image includes its image, unless this is none. (default: the image that the chart names)")
	flags.BoolVar(&s.Members.WholeImage, "whole-image", false, "Include the whole agent image. It has all platforms and attestations, so that push publishes it with upstream's digest.")
	flags.StringVar(&s.Members.Chart, "with-chart", "", "`=URL` "+fmt.Sprintf(additional, "Botkube's Helm chart")+". It has the Botkube version, and comes from https://charts.botkube.io or from URL.")
	flags.Lookup("with-agent-image").NoOptDefVal = resolve.Default
	flags.Lookup("with-chart").NoOptDefVal = resolve.Default
	group(flags, "Agent image and Helm chart")
}

func parseRepositories(values []string) (all []agent.Repository, err error) {
	for _, r := range values {
		name, url, found := strings.Cut(r, "=")
		if !found || name == "" || url == "" {
			return nil, fault.New(fault.Usage, "--repository %q is not of the form NAME=URL", agent.Redact(r)).
				WithHint("write it like --repository acme=https://plugins.example.com/plugins-index.yaml")
		}
		all = append(all, agent.Repository{Name: name, URL: url})
	}
	return all, nil
}

func headerFlag(flags *pflag.FlagSet, to *[]string) {
	flags.StringArrayVar(to, "header", nil, "`NAME:KEY=VALUE` Send this HTTP header when requesting an index. NAME is the repository. Write env:VARIABLE as VALUE to keep a secret off the command line.")
}

func (s *selectionFlags) selection(g *global) (resolve.Selection, error) {
	sel := s.Selection
	if sel.Templates.None && len(sel.Templates.Add) > 0 {
		return sel, fault.New(fault.Usage, "--exec-template and --no-exec-templates cannot be used together")
	}
	if err := checkAllEnabled(sel.AllEnabled, sel.Values); err != nil {
		return sel, err
	}
	for _, member := range []*string{&sel.Members.AgentImage, &sel.Members.Chart} {
		switch *member {
		case "true":
			*member = resolve.Default
		case "false":
			*member = ""
		}
	}
	var err error
	if sel.Repositories, err = parseRepositories(s.repositories); err != nil {
		return sel, err
	}
	if sel.Headers, err = g.headers(s.headers); err != nil {
		return sel, err
	}
	if sel.Replacements, err = parseEach("dependency", s.dependencies, parseReplacement); err != nil {
		return sel, err
	}
	sub, err := s.options()
	if err != nil {
		return sel, err
	}
	sel.Plugins, sel.Exclude = sub.Plugins, sub.Exclude
	sel.Platforms, sel.AllPlatforms, err = parsePlatforms(s.platforms)
	return sel, err
}

func allEnabledFlag(flags *pflag.FlagSet, to *bool) {
	flags.BoolVar(to, "all-enabled", false, "Count every plugin that the values enable. Without it, a plugin counts only if a channel or an action binds it. Use it if the chat platforms are in a Secret that you do not have.")
}

func checkAllEnabled(given bool, values []string) error {
	if given && len(values) == 0 {
		return fault.New(fault.Usage, "--all-enabled needs --values").
			WithHint("give the values with --values FILE; without it, every plugin is taken anyway")
	}
	return nil
}

func parseEach[T any](flag string, values []string, parse func(string) (T, error)) ([]T, error) {
	var all []T
	for _, v := range values {
		parsed, err := parse(v)
		if err != nil {
			return nil, fault.New(fault.Usage, "--%s: %w", flag, err)
		}
		all = append(all, parsed)
	}
	return all, nil
}

// parseReplacement does not quote a value that it cannot read, because it may have a password.
func parseReplacement(given string) (r index.Replacement, err error) {
	left, raw, found := strings.Cut(given, "=")
	colon := strings.LastIndex(left, ":")
	if !found || colon < 1 || raw == "" || strings.Contains(left, "://") {
		return r, fault.New(fault.Usage, "one value is not of the form REPOSITORY/PLUGIN:NAME=URL").
			WithHint("write it like --dependency 'botkubeExtra/helm:helm=https://get.helm.sh/helm-v3.19.0-{os}-{arch}.tar.gz//{os}-{arch}'")
	}
	if r.Plugin, err = agent.ParsePluginKey(left[:colon]); err != nil {
		return r, err
	}
	name, platform, only := strings.Cut(left[colon+1:], "@")
	if only {
		if r.Platform, err = parsePlatform(platform); err != nil {
			return r, err
		}
	}
	r.Dependency, r.URL = name, raw
	return r, agent.CheckName("dependency", r.Dependency)
}

func pluginKeys(flag string, values []string) ([]agent.PluginKey, error) {
	return parseEach(flag, commaSeparated(values), func(s string) (agent.PluginKey, error) {
		name, version, pinned := strings.Cut(s, "@")
		if name == "" || strings.Contains(s, "/") || pinned && version == "" {
			return agent.ParsePluginKey(s)
		}
		// The repository is missing. Whoever selects knows the repositories with such a plugin.
		return agent.PluginKey{Name: name, Version: version}, nil
	})
}

type subsetFlags struct {
	plugins   []string
	exclude   []string
	platforms []string
}

func (s *subsetFlags) register(c *cobra.Command) {
	flags := c.Flags()
	flags.StringArrayVar(&s.plugins, "plugin", nil, "`REPOSITORY/NAME[@VERSION]` Take only this plugin. Commas may separate several. (default: all)")
	flags.StringArrayVar(&s.exclude, "exclude", nil, "`REPOSITORY/NAME` Leave out this plugin. Commas may separate several.")
	flags.StringArrayVar(&s.platforms, "platform", nil, "`OS/ARCH` Take files for this platform. Commas may separate several. (default: all)")
	group(flags, "What to take")
}

func (s *subsetFlags) options() (o lock.Selection, err error) {
	if o.Plugins, err = pluginKeys("plugin", s.plugins); err != nil {
		return o, err
	}
	if o.Exclude, err = pluginKeys("exclude", s.exclude); err != nil {
		return o, err
	}
	var all bool
	if o.Platforms, all, err = parsePlatforms(s.platforms); all {
		o.Platforms = nil
	}
	return o, err
}

// parsePlatforms returns each platform once, and whether all are wanted.
func parsePlatforms(values []string) (platforms []agent.Platform, all bool, err error) {
	for _, v := range commaSeparated(values) {
		if v == "all" {
			all = true
			continue
		}
		p, err := parsePlatform(v)
		if err != nil {
			return nil, false, fault.New(fault.Usage, "--platform: %w", err)
		}
		if !slices.Contains(platforms, p) {
			platforms = append(platforms, p)
		}
	}
	return platforms, all, nil
}

// parsePlatform reads OS/ARCH with Go's names, as indexes do.
func parsePlatform(s string) (agent.Platform, error) {
	p, err := agent.ParsePlatform(s)
	meant, ok := agent.GuessPlatform(s)
	if err == nil && ok && p != meant {
		err = fmt.Errorf("platform %q has another name in plugin indexes", s)
	}
	if err != nil && ok {
		err = fault.New(fault.Usage, "%w", err).WithHint("write %s", meant)
	}
	return p, err
}

// commaSeparated is for values that cannot contain a comma, unlike paths and URLs.
func commaSeparated(values []string) []string {
	var all []string
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			all = append(all, strings.TrimSpace(part))
		}
	}
	return all
}

// fromVariable is the prefix of a value that names an environment variable.
const fromVariable = "env:"

// headers parses the values of --header. Its errors do not quote values, which may be secret.
func (g *global) headers(values []string) ([]resolve.Header, error) {
	var headers []resolve.Header
	for i, v := range values {
		target, value, found := strings.Cut(v, "=")
		colon := strings.LastIndex(target, ":")
		if !found || colon < 1 || !resolve.IsHeaderName(target[colon+1:]) {
			return nil, fault.New(fault.Usage, "--header number %d is not of the form NAME:KEY=VALUE", i+1).
				WithHint("write it like --header cloud:X-API-Key=env:BOTKUBE_API_KEY\ncloud is the repository; env: takes the value from the environment, so that no secret is on the command line")
		}
		h := resolve.Header{Repository: target[:colon], Name: target[colon+1:], Value: value}
		if variable, ok := strings.CutPrefix(value, fromVariable); ok {
			if h.Value = g.env.Getenv(variable); h.Value == "" {
				return nil, fault.New(fault.Usage, "--header %s: the environment variable %q is not set, or is empty", target, variable).
					WithHint("export it, or name another variable")
			}
		}
		if err := h.Check(); err != nil {
			return nil, fault.New(fault.Usage, "--header %s: %w", target, err)
		}
		headers = append(headers, h)
	}
	return headers, nil
}
