package cmd

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/spelling"
)

// envPrefix begins the names of our environment variables.
const envPrefix = "BOTKUBE_MIRROR_"

// envName returns the environment variable that stands for a flag.
func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// serviceVariable matches what Kubernetes tells a pod of a Service whose name
// begins with botkube-mirror (pkg/kubelet/envvars): that is not meant for us.
var serviceVariable = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?)$`)

// checkEnvironment refuses variables of ours that stand for no flag of any command:
// whoever set one believes that it has an effect.
func (g *global) checkEnvironment(root *cobra.Command) error {
	known := flagVariables(root)
	for _, setting := range g.env.Environ {
		name, value, _ := strings.Cut(setting, "=")
		if !strings.HasPrefix(name, envPrefix) || value == "" || slices.Contains(known, name) || serviceVariable.MatchString(name) || g.isReferred(name) {
			continue
		}
		e := fault.New(fault.Usage, "the environment variable %s stands for no flag of any command", name)
		if nearest := nearestVariable(name, known); nearest != "" {
			return e.WithHint("did you mean %s? if it is not for this program, give it another name", nearest)
		}
		return e.WithHint("unset it; if it is not for this program, give it another name")
	}
	return nil
}

// nearestVariable compares names by what is not the same in all of them.
func nearestVariable(name string, known []string) string {
	var flags []string
	for _, k := range known {
		flags = append(flags, strings.TrimPrefix(k, envPrefix))
	}
	if nearest := spelling.Nearest(strings.TrimPrefix(name, envPrefix), flags); nearest != "" {
		return envPrefix + nearest
	}
	return ""
}

// flagVariables returns the variables of the flags of all commands.
func flagVariables(root *cobra.Command) []string {
	var known []string
	add := func(f *pflag.Flag) {
		if f.Name != "help" { // which no variable asks for
			known = append(known, envName(f.Name))
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

// isReferred reports whether a header's value is in the variable.
func (g *global) isReferred(name string) bool {
	headers, _ := g.env.LookupEnv(envName("header"))
	for _, arg := range append(strings.FieldsFunc(headers, func(r rune) bool { return r == ',' || r == '\n' }), g.env.Args...) {
		if strings.HasSuffix(strings.TrimSpace(arg), "="+fromVariable+name) {
			return true
		}
	}
	return false
}

// proxyVariables are those that net/http reads.
var proxyVariables = []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"}

// checkProxies refuses settings that net/http would pass over, to go the direct way
// (golang.org/x/net/http/httpproxy, config.init). They may hold a password, and are
// not quoted.
func (g *global) checkProxies() error {
	for _, name := range proxyVariables {
		value, _ := g.env.LookupEnv(name)
		if value == "" {
			continue
		}
		if !strings.Contains(value, "://") {
			value = "http://" + value
		}
		u, err := url.Parse(value)
		if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
			return fault.New(fault.Usage, "the environment variable %s does not name a proxy", name).
				WithHint("it is of the form http://HOST:PORT, with USER:PASSWORD@ before HOST if need be; characters of a password that mean something in a URL are escaped, as %%40 for @")
		}
	}
	return nil
}

// How libraries word that a value is not of a flag's type.
var (
	notNumber   = regexp.MustCompile(`strconv\.Parse(?:Int|Uint|Float): parsing ".*": (?:invalid syntax|value out of range)$`)
	notBool     = regexp.MustCompile(`strconv\.ParseBool: parsing ".*": invalid syntax$`)
	notDuration = regexp.MustCompile(`time: (?:invalid duration|missing unit in duration|unknown unit ".*" in duration) ".*"$`)
)

// flagError says without the words of Go's what is wrong with a flag's value.
func flagError(err error) error {
	text := err.Error()
	text = notNumber.ReplaceAllLiteralString(text, "it is not a whole number")
	text = notBool.ReplaceAllLiteralString(text, "it is neither true nor false")
	text = notDuration.ReplaceAllLiteralString(text, "it is not "+durations.Expects)
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}
