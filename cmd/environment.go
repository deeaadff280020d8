package cmd

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
	"github.com/botkube-mirror/botkube-mirror/internal/spelling"
)

const envPrefix = "BOTKUBE_MIRROR_"

func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// serviceVariable matches variables that Kubernetes sets in pods for a Service botkube-mirror…
// (pkg/kubelet/envvars).
var serviceVariable = lazyregexp.New(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?)$`)

// checkEnvironment refuses BOTKUBE_MIRROR_… variables that set no flag, because they have no effect.
func (g *global) checkEnvironment(root *cobra.Command) error {
	known := append(flagVariables(root), completionVariables...)
	for _, setting := range g.env.Environ {
		name, value, _ := strings.Cut(setting, "=")
		flag, ok := strings.CutPrefix(name, envPrefix)
		if !ok || value == "" || slices.Contains(known, flag) || serviceVariable.MatchString(name) || g.isReferred(name) {
			continue
		}
		e := fault.New(fault.Usage, "the environment variable %s sets no flag", name)
		if nearest := spelling.Nearest(flag, known); nearest != "" {
			return e.WithHint("did you mean %s? if it is for another program, rename it", envPrefix+nearest)
		}
		return e.WithHint("unset it; if it is for another program, rename it")
	}
	return nil
}

// flagVariables returns the variables of the flags of all commands, without [envPrefix].
func flagVariables(root *cobra.Command) (known []string) {
	add := func(f *pflag.Flag) {
		if f.Name != "help" { // which no variable asks for
			known = append(known, strings.TrimPrefix(envName(f.Name), envPrefix))
		}
	}
	root.PersistentFlags().VisitAll(add)
	for _, c := range root.Commands() {
		c.Flags().VisitAll(add)
		for _, sub := range c.Commands() {
			sub.Flags().VisitAll(add)
		}
	}
	return known
}

// isReferred reports whether --header takes a value from the variable.
func (g *global) isReferred(name string) bool {
	for _, arg := range append(strings.FieldsFunc(g.env.Getenv(envName("header")), func(r rune) bool { return r == ',' || r == '\n' }), g.env.Args...) {
		if strings.HasSuffix(strings.TrimSpace(arg), "="+fromVariable+name) {
			return true
		}
	}
	return false
}

// proxyVariables are those that net/http reads.
var proxyVariables = []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"}

// checkProxies refuses settings that net/http would ignore, because it would then connect directly
// (golang.org/x/net/http/httpproxy, config.init). It does not quote them, because they may have a
// password.
func (g *global) checkProxies() error {
	for _, name := range proxyVariables {
		value := g.env.Getenv(name)
		if value == "" {
			continue
		}
		if !strings.Contains(value, "://") {
			value = "http://" + value
		}
		u, err := url.Parse(value)
		if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
			return fault.New(fault.Usage, "the environment variable %s does not name a proxy", name).
				WithHint("write it like http://HOST:PORT or http://USER:PASSWORD@HOST:PORT; in the password, escape the special characters of URLs, such as @ as %%40")
		}
	}
	return nil
}

// logFormat finds --log-format before flags are parsed, so that errors of the parser have the format
// too. The configuration file is not known yet.
func (env *Environment) logFormat() string {
	format := "text"
	if env.Getenv("BOTKUBE_MIRROR_LOG_FORMAT") == "json" {
		format = "json"
	}
	for i, arg := range env.Args {
		if arg == "--log-format=json" || arg == "--log-format" && i+1 < len(env.Args) && env.Args[i+1] == "json" {
			format = "json"
		}
	}
	return format
}

// fromEnvironment sets flags that are not on the command line.
func (g *global) fromEnvironment(flags *pflag.FlagSet) error {
	var problem error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || problem != nil || f.Name == "help" {
			return
		}
		name := envName(f.Name)
		value := g.env.Getenv(name)
		if value == "" {
			return
		}
		values := []string{value}
		if _, many := f.Value.(pflag.SliceValue); many {
			values = separated(value)
		}
		for _, v := range values {
			if err := flags.Set(f.Name, strings.TrimSpace(v)); err != nil {
				problem = fault.New(fault.Usage, "environment variable %s: %w", name, valueError(err))
			}
		}
	})
	return problem
}

// separated splits a variable at line breaks or, if it has none, at commas.
func separated(value string) []string {
	if text := strings.TrimSpace(value); strings.Contains(text, "\n") {
		return strings.Split(text, "\n")
	}
	return strings.Split(value, ",")
}

// modTime returns SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/), or
// the epoch.
func (g *global) modTime() (time.Time, error) {
	value := g.env.Getenv("SOURCE_DATE_EPOCH")
	if value == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil || seconds < 0 || seconds > maxTarTime {
		return time.Time{}, fault.New(fault.Usage, "the environment variable SOURCE_DATE_EPOCH must be a number of seconds, not %q", value).
			WithHint("set it to a Unix time, or unset it")
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// maxTarTime is the last second that a USTAR header can name.
const maxTarTime = 1<<33 - 1
