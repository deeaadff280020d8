package cmd

import (
	"cmp"
	"context"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/forms"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

// completer offers values for a flag or an argument.
type completer func(*asked) offer

// asked is the question of a shell: how can this value go on?
type asked struct {
	*global
	ctx  context.Context
	c    *cobra.Command
	args []string
	// typed is the beginning of the value.
	typed string
}

// offer is the answer to a shell.
type offer struct {
	// values may have a description, after a tab.
	values []cobra.Completion
	// files makes the shell complete file names if no value fits.
	files bool
	// sorted values keep their order.
	sorted bool
}

// patience is how long a person waits for completion.
const patience = 2 * time.Second

// complete asks a completer, and gives up after [patience]. It reports no errors, because the
// command itself will.
func (g *global) complete(c *cobra.Command, args []string, typed string, by completer) ([]cobra.Completion, cobra.ShellCompDirective) {
	_ = g.fromEnvironment(c.Flags())
	_ = g.fromFile(c)
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	answer := make(chan offer, 1)
	go func() { answer <- by(&asked{g, ctx, c, args, typed}) }()
	select {
	case o := <-answer:
		return o.tell(typed)
	case <-ctx.Done():
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// tell returns the values that begin with the typed text and need no quotes. No blank follows a
// value that ends in a separator.
func (o offer) tell(typed string) (values []cobra.Completion, directive cobra.ShellCompDirective) {
	for _, v := range o.values {
		value, description, _ := strings.Cut(v, "\t")
		if !strings.HasPrefix(value, typed) || !isPlain(value) {
			continue
		}
		if strings.HasSuffix(value, "/") || strings.HasSuffix(value, ":") || strings.HasSuffix(value, "=") {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		values = append(values, strings.TrimSuffix(value+"\t"+tameName(description), "\t"))
	}
	if !o.files {
		directive |= cobra.ShellCompDirectiveNoFileComp
	}
	if o.sorted {
		return values, directive | cobra.ShellCompDirectiveKeepOrder
	}
	slices.Sort(values)
	return slices.Compact(values), directive
}

// isPlain reports whether a word needs no quotes in any shell, and is not a flag. Names may come from
// indexes, mirrors and registries.
func isPlain(word string) bool {
	return word != "" && !strings.ContainsAny(word[:1], "-:=@,+%") && !strings.ContainsFunc(word, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-./:=@,+%", r)
	})
}

func nothing(*asked) offer { return offer{} }

func oneOf(values ...string) completer {
	return func(*asked) offer { return offer{values: values, sorted: true} }
}

// commaList completes the last of several values that are separated by commas. It offers no value
// twice.
func commaList(one completer) completer {
	return func(a *asked) offer {
		n := strings.LastIndex(a.typed, ",") + 1
		given := strings.Split(a.typed[:n], ",")
		return a.after(n, func(a *asked) offer {
			o := one(a)
			o.values = slices.DeleteFunc(slices.Clone(o.values), func(v string) bool {
				value, _, _ := strings.Cut(v, "\t")
				return slices.Contains(given, value)
			})
			return o
		})
	}
}

// beforeEquals completes the text before the first = and the text after it with two completers.
func beforeEquals(before, after completer) completer {
	return func(a *asked) offer {
		if i := strings.Index(a.typed, "="); i >= 0 {
			return a.after(i+1, after)
		}
		return before(a)
	}
}

// after completes the typed text from byte n on.
func (a *asked) after(n int, by completer) offer {
	rest := *a
	rest.typed = a.typed[n:]
	o := by(&rest)
	o.values = slices.Clone(o.values)
	for i, v := range o.values {
		o.values[i] = a.typed[:n] + v
	}
	return o
}

// anyFile leaves file names to the shell, which also knows ~ and variables.
func (a *asked) anyFile() offer { return offer{files: true} }

// files offers directories and files with certain endings. If there are none, or if a name needs
// quotes, the shell offers all files.
func (a *asked) files(endings ...string) offer {
	paths := a.paths(endings...)
	if !slices.ContainsFunc(paths, func(p string) bool { return !isPlain(p) }) {
		return offer{values: paths, files: true}
	}
	return a.anyFile()
}

// fileInWord offers all files. The shell cannot, because the name begins in the middle of a word.
func (a *asked) fileInWord() offer { return offer{values: a.paths(""), files: true} }

func (a *asked) directory() offer { return a.files() }

// paths returns directories, and files with certain endings, whose path begins with the typed text.
func (a *asked) paths(endings ...string) (paths []cobra.Completion) {
	dir, base := filepath.Split(a.typed)
	entries, _ := os.ReadDir(cmp.Or(dir, "."))
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, base) || strings.HasPrefix(name, ".") && !strings.HasPrefix(base, ".") {
			continue
		}
		isDir := e.IsDir()
		if e.Type()&fs.ModeSymlink != 0 {
			fi, err := os.Stat(dir + name)
			isDir = err == nil && fi.IsDir()
		}
		switch ends := func(end string) bool { return strings.HasSuffix(name, end) }; {
		case isDir:
			name += "/"
		case !slices.ContainsFunc(endings, ends):
			continue
		}
		paths = append(paths, dir+name)
	}
	return paths
}

// Endings of files that are mirrors.
const (
	tarFile  = ".tar"
	lockFile = ".json"
)

// output offers targets to write.
func (a *asked) output() offer { return a.target(tarFile) }

// source offers mirrors to read.
func (a *asked) source() offer {
	if reference, ok := strings.CutPrefix(a.typed, form.RegistryPrefix); ok {
		return a.tags(form.RegistryPrefix, reference)
	}
	o := a.target(tarFile, lockFile)
	if a.c.Flags().Lookup("plain-http") != nil {
		o.values = append(o.values, form.RegistryPrefix+"\tbundle in a registry")
	}
	return o
}

// target offers forms and files. After the name of a form, it offers files of that form.
func (a *asked) target(endings ...string) offer {
	var o offer
	for _, f := range forms.All {
		for _, out := range f.Outputs {
			prefix := out.Prefix + ":"
			if strings.HasPrefix(a.typed, prefix) {
				endings = nil
				if out.File {
					endings = []string{tarFile}
				}
				return a.after(len(prefix), func(a *asked) offer { return offer{values: a.paths(endings...), files: true} })
			}
			o.values = append(o.values, prefix+"\t"+describe(f, out))
		}
	}
	o.values = append(o.values, a.paths(endings...)...)
	o.files = true
	return o
}

func describe(f *form.Form, out form.Output) string {
	switch {
	case len(f.Outputs) == 1:
		return f.Name
	case out.File:
		return f.Name + " in a file"
	}
	return f.Name + " in a directory"
}

// image offers the tags of a repository that is typed.
func (a *asked) image() offer { return a.tags("", a.typed) }

// tags asks a registry for its tags, but only if a colon follows the name of a repository. It puts
// prefix before each reference.
func (a *asked) tags(prefix, reference string) offer {
	colon := strings.LastIndex(reference, ":")
	if colon < strings.LastIndex(reference, "/") || !strings.Contains(reference, "/") {
		return offer{}
	}
	silent, env := *a.global, *a.env
	env.Stderr, silent.env, silent.quiet = io.Discard, &env, true
	tags, _ := inSession(a.ctx, &silent, a.network(), func(s *mirror.Session) ([]string, error) {
		return s.Tags(a.ctx, reference[:colon])
	})
	var o offer
	for _, tag := range tags {
		o.values = append(o.values, prefix+reference[:colon+1]+tag)
	}
	return o
}

// network reads the command's flags for the registry. It allows one attempt.
func (a *asked) network() needs {
	flags := a.c.Flags()
	var r registryFlags
	if flags.Lookup("source-plain-http") != nil {
		r.prefix = "source-"
	}
	r.plainHTTP, _ = flags.GetBool(r.prefix + "plain-http")
	r.insecure, _ = flags.GetBool(r.prefix + "insecure-skip-verify")
	r.caFiles, _ = flags.GetStringArray(r.prefix + "ca-file")
	r.clientCert, _ = flags.GetString(r.prefix + "client-cert")
	r.clientKey, _ = flags.GetString(r.prefix + "client-key")
	t := transferFlags{parallel: 1, stall: patience, maxWait: patience}
	t.via, _ = flags.GetStringArray("via")
	return needs{transfer: t, registry: &r}
}

// known returns the plugins of the mirror or lock on the command line, or else those of
// [asked.upstream].
func (a *asked) known() []mirror.KnownPlugin {
	target, _ := a.c.Flags().GetString("lock")
	// The argument of the command lock is an output.
	if len(a.args) > 0 && a.c.Name() != "lock" {
		target = a.args[0]
	}
	if target != "" && target != form.StandardStream && !inRegistry(target) {
		s := &mirror.Session{Parallel: 1, Observe: func(mirror.Event) {}}
		if plugins, err := s.Known(a.ctx, target); err == nil {
			return plugins
		}
	}
	plugins, _ := a.upstream()
	return plugins
}

// upstream returns the plugins of the indexes that were read last, or else Botkube's own. releases
// are the Botkube versions of these indexes.
func (a *asked) upstream() (plugins []mirror.KnownPlugin, releases []string) {
	version, _ := a.c.Flags().GetString("version")
	given, _ := a.c.Flags().GetStringArray("repository")
	wanted, _ := parseRepositories(given)
	if len(given) == 0 && strings.HasPrefix(version, "v") {
		wanted = agent.DefaultRepositories(version)
	}
	if dir, err := a.storeDir(); err == nil {
		plugins, releases = mirror.KnownUpstream(dir, wanted)
	}
	if len(plugins)+len(given) == 0 {
		plugins = mirror.KnownOfficial(version)
	}
	return plugins, releases
}

func (a *asked) pluginNames() offer {
	types := map[string]string{}
	for _, p := range a.known() {
		p.Version = ""
		types[p.String()] = string(p.Type)
	}
	var o offer
	for name, kind := range types {
		o.values = append(o.values, name+"\t"+kind)
	}
	return o
}

// plugins offers names and, after an @, versions with the newest first.
func (a *asked) plugins() offer {
	name, _, versioned := strings.Cut(a.typed, "@")
	if !versioned {
		return a.pluginNames()
	}
	versions := map[string]bool{}
	for _, p := range a.known() {
		if p.Repository+"/"+p.Name == name {
			versions[p.Version] = true
		}
	}
	o := offer{sorted: true}
	for _, v := range newestFirst(slices.Collect(maps.Keys(versions))) {
		o.values = append(o.values, name+"@"+v)
	}
	return o
}

func newestFirst(versions []string) []string {
	slices.SortFunc(versions, func(a, b string) int {
		switch {
		case agent.Newer(a, b):
			return -1
		case agent.Newer(b, a):
			return 1
		}
		return strings.Compare(b, a)
	})
	return versions
}

// dependencies offers them with a version or a platform only if one is typed.
func (a *asked) dependencies() offer {
	var o offer
	for _, p := range a.known() {
		plugins := []string{p.Repository + "/" + p.Name, p.String()}
		for _, name := range p.Dependencies {
			for _, plugin := range plugins[:1+min(1, strings.Count(a.typed, "@"))] {
				o.values = append(o.values, plugin+":"+name+"=")
				for _, on := range p.Platforms {
					if strings.HasPrefix(a.typed, plugin+":"+name+"@") {
						o.values = append(o.values, plugin+":"+name+"@"+on.String()+"=")
					}
				}
			}
		}
	}
	return o
}

func (a *asked) platforms() offer {
	all := a.knownPlatforms()
	if a.c.Name() != "values" {
		all = append(all, "all")
	}
	return offer{values: all}
}

func (a *asked) knownPlatforms() (all []string) {
	for _, p := range a.known() {
		for _, on := range p.Platforms {
			all = append(all, on.String())
		}
	}
	if len(all) == 0 {
		return []string{"linux/amd64", "linux/arm64"}
	}
	return all
}

func (a *asked) seeders() offer {
	o := offer{values: []string{"none"}}
	for _, p := range a.knownPlatforms() {
		o.values = append(o.values, p+"=")
	}
	return o
}

// repositories offers names. Their URLs are not known.
func (a *asked) repositories() offer {
	var o offer
	for _, p := range a.known() {
		o.values = append(o.values, p.Repository+"=")
	}
	return o
}

func (a *asked) headers() offer {
	var o offer
	for _, p := range a.known() {
		o.values = append(o.values, p.Repository+":")
	}
	return o
}

// releases offers Botkube versions.
func (a *asked) releases() offer {
	_, all := a.upstream()
	all = newestFirst(all)
	if a.c.Flags().Lookup("repository") != nil { // upstream is asked
		all = append([]string{mirror.Newest}, all...)
	}
	return offer{values: all, sorted: true}
}
