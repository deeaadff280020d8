// Package cmd is the command line: each command turns flags into one call and
// prints what comes of it.
package cmd

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/store"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/fetch"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// Environment is what a run gets from the system.
type Environment struct {
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	LookupEnv      func(string) (string, bool)
	// Environ are all settings, each NAME=VALUE, in which misspelt names are looked for.
	Environ []string
	// Version is the program's, or empty for what the build recorded.
	Version string
}

// Run carries out a command line and returns the exit code.
func Run(ctx context.Context, env Environment) int {
	g := &global{env: &env, logFormat: env.logFormat()}
	err := g.command().ExecuteContext(ctx)
	return g.report(ctx, err)
}

// logFormat finds the flag before flags are parsed, for errors of the parsing. The
// configuration file is not looked into for that: which it is, only the parsing tells.
func (env *Environment) logFormat() string {
	format := "text"
	if value, ok := env.LookupEnv("BOTKUBE_MIRROR_LOG_FORMAT"); ok && value == "json" {
		format = value
	}
	for i, arg := range env.Args {
		if arg == "--log-format=json" || arg == "--log-format" && i+1 < len(env.Args) && env.Args[i+1] == "json" {
			format = "json"
		}
	}
	return format
}

// global are the flags of every command.
type global struct {
	env   *Environment
	file  string
	store string
	// sharedStore is for a store that others may write to.
	sharedStore bool
	format      string
	quiet       bool
	verbose     bool
	logFormat   string
	noProgress  bool
}

func (g *global) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "botkube-mirror",
		Short: "Carry Botkube plugins, and what they need, over an air gap",
		Long: `Botkube's agent downloads a plugin index, plugins and their dependencies every
time it starts. botkube-mirror resolves what it will ask for, downloads and
verifies it, and writes it so that the agent makes no call to the outside.

Every flag can be given as an environment variable too: --store as
BOTKUBE_MIRROR_STORE, and so on; several values are separated by commas, or by
line breaks if there are any. And as a key of the configuration file that --file
names: store: DIRECTORY, and so on. A flag wins over the environment, and that
over the file.

Exit codes: 0 done, 1 unexpected, 2 usage or configuration, 3 upstream
unreachable or missing, 4 integrity, 5 incomplete, 130 interrupted.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if err := g.checkEnvironment(c.Root()); err != nil {
				return err
			}
			if err := g.fromEnvironment(c.Flags()); err != nil {
				return err
			}
			if err := g.fromFile(c); err != nil {
				return err
			}
			return g.check(c)
		},
	}
	root.SetArgs(g.env.Args)
	root.SetOut(g.env.Stdout)
	root.SetErr(g.env.Stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fault.New(fault.Usage, "%w", flagError(err)).WithHint("see %s --help", c.CommandPath())
	})
	root.CompletionOptions.HiddenDefaultCmd = false
	flags := root.PersistentFlags()
	flags.StringVarP(&g.file, "file", "f", "", "configuration `FILE` in YAML, with what flags say; what flags or the environment say wins (default: none)")
	flags.StringVar(&g.store, "store", "", "directory that keeps downloads for later runs (default: botkube-mirror in the user's cache directory)")
	flags.BoolVar(&g.sharedStore, "shared-store", false, "use a store that other users may write to: hash every blob before each use, and believe nothing else in it")
	flags.StringVar(&g.format, "format", "text", "form of the result on standard output: text or json; for values, manifests and patch too")
	flags.BoolVarP(&g.quiet, "quiet", "q", false, "say nothing but the result, warnings and errors")
	flags.BoolVarP(&g.verbose, "verbose", "v", false, "tell of every step")
	flags.StringVar(&g.logFormat, "log-format", g.logFormat, "form of what is told on standard error: text or json")
	flags.BoolVar(&g.noProgress, "no-progress", false, "draw no progress bar")
	root.AddCommand(pullCommand(g), lockCommand(g), listCommand(g), diffCommand(g), unpackCommand(g), pushCommand(g), verifyCommand(g), serveCommand(g), valuesCommand(g), pruneCommand(g), schemaCommand(g), versionCommand(g))
	root.InitDefaultCompletionCmd()
	checkCompletionArgs(root)
	return root
}

// checkCompletionArgs gives cobra's own command our errors for arguments.
func checkCompletionArgs(root *cobra.Command) {
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Args, c.RunE = noArgs, root.RunE
		for _, shell := range c.Commands() {
			shell.Args = noArgs
		}
	}
}

// noArgs and maxArgs say what cobra's own validators do not: how to find out.
func noArgs(c *cobra.Command, args []string) error { return maxArgs(0)(c, args) }

func maxArgs(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) <= n {
			return nil
		}
		if c.HasSubCommands() {
			e := fault.New(fault.Usage, "there is no command %q", args[0])
			if near := c.SuggestionsFor(args[0]); len(near) > 0 {
				return e.WithHint("did you mean %s?", strings.Join(near, " or "))
			}
			return e.WithHint("see %s --help", c.CommandPath())
		}
		return fault.New(fault.Usage, "%s does not take the argument %q", c.CommandPath(), args[n]).WithHint("see %s --help", c.CommandPath())
	}
}

// exactArgs wants one argument for each name.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return fault.New(fault.Usage, "%s needs the argument %s", c.CommandPath(), names[len(args)]).WithHint("see %s --help", c.CommandPath())
		}
		return maxArgs(len(names))(c, args)
	}
}

// fromEnvironment sets the flags that the command line leaves open.
func (g *global) fromEnvironment(flags *pflag.FlagSet) error {
	var problem error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || problem != nil || f.Name == "help" {
			return
		}
		name := envName(f.Name)
		value, ok := g.env.LookupEnv(name)
		if !ok || value == "" {
			return
		}
		values := []string{value}
		if _, many := f.Value.(pflag.SliceValue); many {
			values = separated(value)
		}
		for _, v := range values {
			if err := flags.Set(f.Name, strings.TrimSpace(v)); err != nil {
				problem = fault.New(fault.Usage, "environment variable %s: %w", name, flagError(err))
			}
		}
	})
	return problem
}

// separated returns the values that one environment variable holds. Line breaks,
// where there are any, separate values that have commas of their own.
func separated(value string) []string {
	if text := strings.TrimSpace(value); strings.Contains(text, "\n") {
		return strings.Split(text, "\n")
	}
	return strings.Split(value, ",")
}

// formatsKey annotates a command with the forms of its result beside text and json,
// with commas between them.
const formatsKey = "formats"

func (g *global) check(c *cobra.Command) error {
	forms := []string{"text", "json"}
	if more := c.Annotations[formatsKey]; more != "" {
		forms = append(forms, strings.Split(more, ",")...)
	}
	if !slices.Contains(forms, g.format) {
		return fault.New(fault.Usage, "--format %q is none of %s", g.format, strings.Join(forms, ", "))
	}
	if g.logFormat != "text" && g.logFormat != "json" {
		return fault.New(fault.Usage, "--log-format %q is neither text nor json", g.logFormat)
	}
	return nil
}

// openStore opens the store that the flags name.
func (g *global) openStore() (*store.Store, error) {
	dir := g.store
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fault.New(fault.Usage, "there is no cache directory for the store: %w", err).WithHint("name a directory with --store")
		}
		dir = filepath.Join(cache, "botkube-mirror")
	}
	if g.sharedStore {
		return store.OpenShared(dir)
	}
	return store.Open(dir)
}

// needs says what a command needs of a session.
type needs struct {
	transfer transferFlags
	// download is for upstream.
	download downloadFlags
	// store keeps what comes over a network.
	store bool
	// upstream is where plugins come from. Whom to trust there is as for the registry.
	upstream bool
	// registry, if not nil, says how to talk to registries.
	registry *registryFlags
	// source, if not nil, says how to talk to the one that is read, where
	// another is written.
	source *registryFlags
}

// withSession prepares what is needed and calls run, telling of progress
// meanwhile.
func (g *global) withSession(n needs, run func(*mirror.Session) error) error {
	if err := n.transfer.check(); err != nil {
		return err
	}
	if n.upstream || n.registry != nil || n.source != nil {
		if err := g.checkProxies(); err != nil {
			return err
		}
	}
	p := g.progress()
	defer p.close()
	session := &mirror.Session{Parallel: n.transfer.parallel, Observe: p.observe}
	var trust *tls.Config
	if n.registry != nil {
		var err error
		if trust, err = n.registry.identity().TLS(); err != nil {
			return err
		}
		session.Registry = n.registry.client(trust, programVersion(g.env.Version), n.transfer, p)
		defer session.Registry.Close()
	}
	if n.source != nil {
		trust, err := n.source.identity().TLS()
		if err != nil {
			return err
		}
		session.Source = n.source.client(trust, programVersion(g.env.Version), n.transfer, p)
		defer session.Source.Close()
	}
	if n.store {
		s, err := g.openStore()
		if err != nil {
			return err
		}
		defer s.Close()
		session.Store = s
	}
	if n.upstream {
		var identity transfer.Identity
		if n.registry != nil {
			identity = n.registry.identity()
		}
		session.Fetch = fetch.New(fetch.Config{
			Store: session.Store, Version: programVersion(g.env.Version), Netrc: g.netrc(), MaxBytes: n.download.maxSize.bytes, Retries: n.transfer.attempts(),
			TLS: trust, Identity: identity, StallTimeout: n.transfer.stall, MaxWait: n.transfer.maxWait, Limit: n.transfer.rate.limit, Retrying: p.retrying,
		})
		defer session.Fetch.Close()
	}
	return run(session)
}

// modTime returns what SOURCE_DATE_EPOCH says
// (https://reproducible-builds.org/specs/source-date-epoch/), or the epoch.
func (g *global) modTime() (time.Time, error) {
	value, ok := g.env.LookupEnv("SOURCE_DATE_EPOCH")
	if !ok || value == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil || seconds < 0 || seconds > maxTarTime {
		return time.Time{}, fault.New(fault.Usage, "the environment variable SOURCE_DATE_EPOCH is %q, which is no number of seconds", value).
			WithHint("set it to a Unix time, or unset it")
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// maxTarTime is the last second that a USTAR header can name.
const maxTarTime = 1<<33 - 1

// netrc returns the path of the user's netrc file.
func (g *global) netrc() string {
	home, err := os.UserHomeDir()
	if err != nil {
		home = "" // then only NETRC names one
	}
	getenv := func(name string) string {
		value, _ := g.env.LookupEnv(name)
		return value
	}
	return fetch.NetrcPath(getenv, home)
}

// report prints an error, and returns the exit code. A URL that was given where none
// belongs is quoted by whoever refuses it: so URLs are redacted here once more.
func (g *global) report(ctx context.Context, err error) int {
	if err == nil {
		return 0
	}
	if ctx.Err() != nil {
		err = fault.New(fault.Interrupted, "interrupted").
			WithHint("run the same command again: it uses what is there already")
	}
	kind, hint := fault.KindOf(err), agent.RedactURLs(fault.HintOf(err))
	text := clipped(agent.RedactURLs(err.Error()))
	if g.logFormat == "json" {
		attrs := []any{"exitCode", int(kind)}
		if hint != "" {
			attrs = append(attrs, "hint", hint)
		}
		slog.New(slog.NewJSONHandler(g.env.Stderr, nil)).Error(text, attrs...)
		return int(kind)
	}
	fmt.Fprintf(g.env.Stderr, "botkube-mirror: %s\n", tame(text))
	for line := range strings.Lines(clipped(hint)) {
		fmt.Fprintf(g.env.Stderr, "hint: %s\n", tameName(strings.TrimSuffix(line, "\n")))
	}
	return int(kind)
}
