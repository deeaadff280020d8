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

// register registers the flags of a command that does something with images and the chart.
func (s *selectionFlags) register(c *cobra.Command, does string) {
	flags := c.Flags()
	flags.StringVar(&s.Version, "version", "", "Botkube version, for example v1.14.0, or latest; sets the default repositories")
	flags.StringArrayVar(&s.repositories, "repository", nil, "plugin repository as `NAME=URL` of its index, or a path; replaces the defaults; repeatable")
	flags.StringArrayVar(&s.Values, "values", nil, "values `FILE` of Botkube's Helm chart, a document of Flux or Argo CD that has them, or objects that the chart rendered: mirror what an agent with these starts, from the repositories that they name; repeatable, later ones over earlier")
	allEnabledFlag(flags, &s.AllEnabled)
	headerFlag(flags, &s.headers)
	flags.StringArrayVar(&s.plugins, "plugin", nil, "plugin to mirror, as `REPOSITORY/NAME[@VERSION]`, beside those of --values; repeatable, or several with commas (default: all, in their newest version)")
	flags.StringArrayVar(&s.exclude, "exclude", nil, "plugin to leave out, as `REPOSITORY/NAME`; repeatable, or several with commas")
	flags.StringArrayVar(&s.dependencies, "dependency", nil, "replace a plugin's dependency by another build, as `REPOSITORY/PLUGIN[@VERSION]:NAME[@OS/ARCH]=URL`; URL may be a path, {os} and {arch} in it stand for the platform, ?checksum=sha256:HEX pins the file; repeatable")
	flags.StringArrayVar(&s.platforms, "platform", nil, "platform to mirror for, as `OS/ARCH`, or all; repeatable, or several with commas (default: linux/amd64)")
	flags.StringVar(&s.Lock, "lock", "", "lock `FILE` to enforce: take what is selected from it, by default all; it is an error if anything is missing from the lock or differs")
	flags.BoolVar(&s.RequireChecksums, "require-checksums", false, "refuse files that nobody vouches for")
	flags.StringArrayVar(&s.Templates.Add, "exec-template", nil, "source of templates, as `REF` in the configuration of the executor exec, to mirror beside its default; repeatable")
	flags.BoolVar(&s.Templates.None, "no-exec-templates", false, "do not mirror the templates of the executor exec")
	flags.StringVar(&s.Members.AgentImage, "with-agent-image", "", does+" the agent's image too: that of the Botkube version, or `=REFERENCE`")
	flags.StringVar(&s.Members.WatcherImage, "watcher-image", "", "`REFERENCE` of the image that --with-agent-image takes along for charts v1.0.0 to v1.4.1, which run a second container (default: beside the agent's image); none leaves it out")
	flags.BoolVar(&s.Members.WholeImage, "whole-image", false, "take all that the index of the agent's image names (other platforms, attestations), so that push publishes it with upstream's digest")
	flags.StringVar(&s.Members.Chart, "with-chart", "", does+" the Helm chart of the Botkube version too: from https://charts.botkube.io, or from `=URL`")
	flags.Lookup("with-agent-image").NoOptDefVal = resolve.Default
	flags.Lookup("with-chart").NoOptDefVal = resolve.Default
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
	flags.StringArrayVar(to, "header", nil, "header field for the request of a repository's index, as `NAME:KEY=VALUE`; env:VARIABLE as VALUE takes it from the environment, which keeps a secret off the command line; repeatable")
}

func (s *selectionFlags) selection(g *global) (resolve.Selection, error) {
	sel := s.Selection
	if sel.Templates.None && len(sel.Templates.Add) > 0 {
		return sel, fault.New(fault.Usage, "--exec-template and --no-exec-templates contradict each other")
	}
	if err := checkAllEnabled(sel.AllEnabled, sel.Values); err != nil {
		return sel, err
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
	flags.BoolVar(to, "all-enabled", false, "count every plugin that --values enable, whether a channel or an action binds its group or not; for values whose chat platforms are in a Secret that is not at hand")
}

func checkAllEnabled(given bool, values []string) error {
	if given && len(values) == 0 {
		return fault.New(fault.Usage, "--all-enabled says something about --values, which is not given").
			WithHint("without --values, every plugin is taken anyway; else name the values: --values FILE")
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

// parseReplacement does not quote what it cannot read: that may be a URL with a password.
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
		// Its repository is missing, and what is selected from knows those that have it.
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
	flags.StringArrayVar(&s.plugins, "plugin", nil, "plugin to take, as `REPOSITORY/NAME[@VERSION]`; repeatable, or several with commas (default: all)")
	flags.StringArrayVar(&s.exclude, "exclude", nil, "plugin to leave out, as `REPOSITORY/NAME`; repeatable, or several with commas")
	flags.StringArrayVar(&s.platforms, "platform", nil, "platform to take, as `OS/ARCH`, or all; repeatable, or several with commas (default: all)")
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

// parsePlatforms reads platforms, each once, and reports whether all are wanted.
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

// parsePlatform reads OS/ARCH by Go's names, which indexes have.
func parsePlatform(s string) (agent.Platform, error) {
	p, err := agent.ParsePlatform(s)
	meant, ok := agent.MeantPlatform(s)
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

// fromVariable begins a value that names an environment variable.
const fromVariable = "env:"

// headers parses the values of --header. Its errors quote no values, which may be secret.
func (g *global) headers(values []string) ([]resolve.Header, error) {
	var headers []resolve.Header
	for i, v := range values {
		target, value, found := strings.Cut(v, "=")
		colon := strings.LastIndex(target, ":")
		if !found || colon < 1 || !resolve.IsHeaderName(target[colon+1:]) {
			return nil, fault.New(fault.Usage, "--header, number %d of them, is not of the form NAME:KEY=VALUE", i+1).
				WithHint("NAME is the repository's, KEY that of the header field, and VALUE env:VARIABLE, so that no secret stands on a command line: --header cloud:X-API-Key=env:BOTKUBE_API_KEY")
		}
		h := resolve.Header{Repository: target[:colon], Name: target[colon+1:], Value: value}
		if variable, ok := strings.CutPrefix(value, fromVariable); ok {
			if h.Value = g.env.Getenv(variable); h.Value == "" {
				return nil, fault.New(fault.Usage, "--header %s: the environment variable %q is not set, or is empty", target, variable).
					WithHint("export it, or name another one")
			}
		}
		if err := h.Check(); err != nil {
			return nil, fault.New(fault.Usage, "--header %s: %w", target, err)
		}
		headers = append(headers, h)
	}
	return headers, nil
}
