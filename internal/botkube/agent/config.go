package agent

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/go-viper/mapstructure/v2"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/helmvalues"
	"github.com/botkube-mirror/botkube-mirror/internal/lazyregexp"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// Config is the part of the agent's configuration that decides what it downloads and
// what it connects to (pkg/config/config.go, Config). It has no tokens and passwords.
type Config struct {
	Actions map[string]struct {
		Enabled  bool
		Command  string
		Bindings bindings
	}
	Sources, Executors map[string]pluginGroup
	Aliases            map[string]struct{ Command string }
	Communications     map[string]communications
	Plugins            PluginManagement
	Analytics          struct{ Disable bool }
	Settings           struct{ UpgradeNotifier bool }

	// wrongKinds are the other values of a type that the agent refuses.
	wrongKinds []string
	passedOver []PassedOver
	everyGroup bool
}

// bindings name groups of plugins.
type bindings struct{ Sources, Executors []string }

type pluginGroup struct {
	DisplayName string
	// Plugins are by their keys.
	Plugins map[string]configuredPlugin `mapstructure:",remain"`
}

type configuredPlugin struct {
	Enabled bool
	Config  any
	Context struct {
		// RBAC is nil if the plugin has no rights in Kubernetes.
		RBAC *struct {
			User struct {
				Type   string
				Static struct{ Value string }
				Prefix string
			}
			Group struct {
				Type   string
				Static struct{ Values []string }
				Prefix string
			}
		}
	}
}

type communications struct {
	SocketSlack, CloudSlack, Mattermost, Discord chatPlatform
	CloudTeams                                   struct {
		Enabled bool
		Server  struct{ URL string }
		Teams   []struct{ Channels map[string]channel }
	}
	Webhook       sink
	Elasticsearch struct {
		Enabled bool
		Server  string
		// AWSSigning has it ask Amazon for credentials.
		AWSSigning struct{ Enabled bool }
		// SkipTLSVerify has it know no proxy, too, unless it signs.
		SkipTLSVerify bool
		Indices       map[string]struct{ Bindings bindings }
	}
	PagerDuty struct {
		Enabled             bool
		Bindings            bindings
		V2EventsAPIBasePath string
	}
	// Slack and Teams are those of agents before v1.9.0.
	Slack chatPlatform
	Teams sink
}

// chatPlatform is a platform with channels. A field that it does not have is empty.
type chatPlatform struct {
	Enabled  bool
	Channels map[string]channel
	// URL is Mattermost's server, and Server that of Botkube Cloud.
	URL    string
	Server struct{ URL string }
}

// channel is a channel of a chat platform, which knows it by name or by ID.
type channel struct {
	Name, ID any
	Bindings bindings
}

type sink struct {
	Enabled  bool
	URL      string
	Bindings bindings
}

// PluginManagement says where plugins come from, and where they are kept.
type PluginManagement struct {
	CacheDir string
	// Repositories are without names.
	Repositories map[string]Repository
}

// MaxConfig bounds, in bytes, a configuration document that is read.
const MaxConfig = 4 << 20

// EnvironmentPrefix begins the environment variables that the agent takes for configuration.
const EnvironmentPrefix = "BOTKUBE_"

// ErrRefused says that the agent cannot read a configuration at all.
var ErrRefused = errors.New("the agent would refuse this configuration")

// ReadConfig reads configuration documents as the agent does: each over those
// before, and over all of them the environment (pkg/config/config.go,
// LoadWithDefaults). The error is [ErrRefused], and says why.
func ReadConfig(documents []map[string]any, environment map[string]string) (*Config, error) {
	// koanf merges maps, and replaces everything else, as Helm does (maps/maps.go, Merge).
	merged := map[string]any{"plugins": map[string]any{"cacheDir": "/tmp"}} // pkg/config/default.yaml
	for _, d := range append(documents, fromEnvironment(environment)) {
		merged = helmvalues.Merge(merged, d)
	}
	merged, passedOver := read(merged)
	c := &Config{passedOver: passedOver}
	if err := decode(merged, c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, shortened(err))
	}
	c.wrongKinds = misfits(decode(merged, new(kinds)))
	return c, nil
}

// decode reads maps into structures with the agent's leniency: keys match in any
// case, "true" is true, and "a,b" is a list.
func decode(from, to any) error {
	hooks := mapstructure.ComposeDecodeHookFunc(mapstructure.StringToTimeDurationHookFunc(), mapstructure.DecodeHookFuncKind(splitList))
	d, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{Result: to, WeaklyTypedInput: true, Squash: true, DecodeHook: hooks})
	if err != nil {
		return err
	}
	return d.Decode(from)
}

// splitList splits a text for a list, as the agent's version of the library does (mapstructure
// v1.5.0, StringToSliceHookFunc).
func splitList(from, to reflect.Kind, data any) (any, error) {
	if from != reflect.String || to != reflect.Slice {
		return data, nil
	}
	text := reflect.ValueOf(data).String()
	if text == "" {
		return []string{}, nil
	}
	return strings.Split(text, ","), nil
}

// shortened names the first few settings, without their values: they may be secret.
func shortened(err error) error {
	const most = 3
	settings := misfits(err)
	if len(settings) == 0 {
		return errors.New("a value has the wrong type")
	}
	var problems []error
	for _, s := range settings[:min(len(settings), most)] {
		problems = append(problems, fmt.Errorf("%.200q has the wrong type", s))
	}
	if len(settings) > most {
		problems = append(problems, fmt.Errorf("and %d more", len(settings)-most))
	}
	return errors.Join(problems...)
}

func misfits(err error) []string {
	var several interface{ Unwrap() []error }
	if _, one := err.(*mapstructure.DecodeError); !one && errors.As(err, &several) {
		var all []string
		for _, e := range several.Unwrap() {
			all = append(all, misfits(e)...)
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	if e, ok := errors.AsType[*mapstructure.DecodeError](err); ok {
		return []string{settingOf(e.Name())}
	}
	return nil
}

// step matches a part of what the library calls a value: a field, or a key in brackets.
var step = lazyregexp.New(`\[([^\]]*)\]|[^.\[\]]+`)

// settingOf returns executors.tools.enabled for what the library calls Executors[tools].Enabled.
// The library does not look into keys that it takes for anything.
func settingOf(name string) string {
	var parts []string
	for _, m := range step.FindAllStringSubmatch(strings.ReplaceAll(name, "<interface {} Value>", "…"), -1) {
		if strings.HasPrefix(m[0], "[") {
			parts = append(parts, m[1])
			continue
		}
		parts = append(parts, keyOf(m[0]))
	}
	return strings.Join(parts, ".")
}

// keyOf returns a field's key: its first word in small letters.
func keyOf(field string) string {
	runes := []rune(field)
	for i, r := range runes {
		last := i+1 == len(runes)
		if !unicode.IsUpper(r) || i > 0 && !last && unicode.IsLower(runes[i+1]) {
			break
		}
		runes[i] = unicode.ToLower(r)
	}
	return string(runes)
}

// ParseConfig reads one YAML document of a configuration.
func ParseConfig(data []byte) (map[string]any, error) {
	if len(data) > MaxConfig {
		return nil, fmt.Errorf("it has %d bytes, and the limit is %d", len(data), MaxConfig)
	}
	parsed, err := textfile.ParseYAML(data, maxMarks)
	if err != nil {
		return nil, err
	}
	var document map[string]any
	if err := textfile.DecodeYAML(parsed, &document); err != nil {
		return nil, err
	}
	stringKeys(document)
	return document, nil
}

// stringKeys makes strings of other keys, as koanf does (maps/maps.go, IntfaceKeysToStrings).
func stringKeys(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for k, inner := range v {
			v[k] = stringKeys(inner)
		}
	case map[any]any:
		converted := make(map[string]any, len(v))
		for k, inner := range v {
			converted[fmt.Sprint(k)] = stringKeys(inner)
		}
		return converted
	case []any:
		for i, inner := range v {
			v[i] = stringKeys(inner)
		}
	}
	return value
}

func fromEnvironment(environment map[string]string) map[string]any {
	var document map[string]any
	for _, name := range slices.Sorted(maps.Keys(environment)) {
		key, ok := EnvironmentKey(name)
		if !ok {
			continue
		}
		var value any = environment[name]
		for _, k := range slices.Backward(strings.Split(key, ".")) {
			value = map[string]any{k: value}
		}
		document = helmvalues.Merge(document, value.(map[string]any))
	}
	return document
}

// EnvironmentKey returns the setting that the agent reads from a variable, such as plugins.cacheDir, if
// it reads one (normalizeConfigEnvName). In the variable's name, one underscore stands for a dot, and
// two begin a word within a key.
func EnvironmentKey(name string) (string, bool) {
	key, ok := strings.CutPrefix(name, EnvironmentPrefix)
	if !ok {
		return "", false
	}
	words := strings.Split(key, "__")
	key = strings.ToLower(words[0])
	for _, w := range words[1:] {
		key += titled(strings.ToLower(w))
	}
	return strings.ReplaceAll(key, "_", "."), true
}

// titled is cases.Title of x/text, for lower-case ASCII: names of variables have no other
// letters. It spares the tables of that library.
func titled(s string) string {
	isWord := func(i int) bool {
		return i >= 0 && i < len(s) && (s[i] >= 'a' && s[i] <= 'z' || s[i] >= '0' && s[i] <= '9' || s[i] == '_')
	}
	out, begins := []byte(s), true
	for i, c := range out {
		within := isWord(i) || strings.IndexByte(".':", c) >= 0 && isWord(i-1) && isWord(i+1)
		letter := c >= 'a' && c <= 'z'
		if letter && begins {
			out[i] = c - 'a' + 'A'
		}
		begins = !letter && (begins || !within)
	}
	return string(out)
}
