// Command agent is the Botkube agent reduced to what reads the cache directory: it starts the real plugin
// manager, asks every enabled plugin one question, and reports what it heard.
//
// With the argument enabled it only says which plugins each of the configurations on standard input has it start; with
// the argument download, what it makes of each URL.
// Otherwise it reads a Config as JSON from standard input and writes a Report as JSON to standard output; the manager's
// log goes to standard error. The exit code is 0 whenever a report was written, also when the manager did not start.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/kubeshop/botkube/pkg/api/executor"
	"github.com/kubeshop/botkube/pkg/config"
	"github.com/kubeshop/botkube/pkg/plugin"
)

// Config is the part of the agent's configuration that decides what it looks for.
type Config struct {
	// Rendered is what the chart gives the agent. With it, it says what the rest does, but for CacheDir, which
	// stands in for its own if it is given.
	Rendered     *Configuration        `json:"rendered,omitempty"`
	CacheDir     string                `json:"cacheDir"`
	Repositories map[string]Repository `json:"repositories"`
	Executors    []string              `json:"executors"`
	Sources      []string              `json:"sources"`
}

// Repository is where the agent would fetch an index.
type Repository struct {
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
}

// Report is what came of it.
type Report struct {
	Error     string            `json:"error,omitempty"` // of the manager's Start
	Executors map[string]Answer `json:"executors,omitempty"`
	Sources   map[string]Answer `json:"sources,omitempty"`
}

// Answer is what one plugin said.
type Answer struct {
	Text  string `json:"text,omitempty"`
	Error string `json:"error,omitempty"`
}

// patience bounds a run; a healthy one takes a second.
const patience = 3 * time.Minute

func main() {
	stdout := os.Stdout
	// The manager gives plugins loggers that write to standard output, which is the report's alone.
	os.Stdout = os.Stderr
	carryOut := run
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "enabled":
			carryOut = func(stdout io.Writer) error { return enabled(os.Stdin, stdout) }
		case "download":
			carryOut = func(stdout io.Writer) error { return download(os.Stdin, stdout) }
		}
	}
	if err := carryOut(stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(stdout io.Writer) error {
	var cfg Config
	if err := json.NewDecoder(os.Stdin).Decode(&cfg); err != nil {
		return fmt.Errorf("reading configuration: %w", err)
	}
	if err := cfg.load(); err != nil {
		return json.NewEncoder(stdout).Encode(Report{Error: err.Error()})
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return json.NewEncoder(stdout).Encode(report(ctx, cfg))
}

// load has Botkube read what the chart rendered, and find out what is enabled (cmd/botkube-agent/main.go).
func (cfg *Config) load() error {
	if cfg.Rendered == nil {
		return nil
	}
	for name, value := range cfg.Rendered.Environment {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	loaded, _, err := config.LoadWithDefaults(cfg.Rendered.Documents)
	if err != nil {
		return fmt.Errorf("loading configuration: %w", err)
	}
	log := logrus.New()
	log.SetOutput(os.Stderr)
	cfg.Executors, cfg.Sources = plugin.NewCollector(log).GetAllEnabledAndUsedPlugins(loaded)
	if cfg.CacheDir == "" {
		cfg.CacheDir = loaded.Plugins.CacheDir
	}
	cfg.Repositories = map[string]Repository{}
	for name, r := range loaded.Plugins.Repositories {
		cfg.Repositories[name] = Repository{URL: r.URL, Headers: r.Headers}
	}
	return nil
}

func report(ctx context.Context, cfg Config) Report {
	manager := newManager(cfg)
	defer manager.Shutdown()
	if err := manager.Start(ctx); err != nil {
		return Report{Error: err.Error()}
	}
	out := Report{Executors: map[string]Answer{}, Sources: map[string]Answer{}}
	for _, key := range cfg.Executors {
		out.Executors[key] = answer(execute(ctx, manager, key))
	}
	for _, key := range cfg.Sources {
		out.Sources[key] = answer(describe(ctx, manager, key))
	}
	return out
}

func newManager(cfg Config) *plugin.Manager {
	log := logrus.New()
	log.SetOutput(os.Stderr)
	repositories := map[string]config.PluginsRepository{}
	for name, r := range cfg.Repositories {
		repositories[name] = config.PluginsRepository{URL: r.URL, Headers: r.Headers}
	}
	return plugin.NewManager(log, config.Logger{Level: "info"}, config.PluginManagement{
		CacheDir:      cfg.CacheDir,
		Repositories:  repositories,
		RestartPolicy: config.PluginRestartPolicy{Type: config.KeepAgentRunningWhenThresholdReached},
	}, cfg.Executors, cfg.Sources, make(chan string), plugin.NewHealthStats(0))
}

func execute(ctx context.Context, manager *plugin.Manager, key string) (string, error) {
	client, err := manager.GetExecutor(key)
	if err != nil {
		return "", err
	}
	out, err := client.Execute(ctx, executor.ExecuteInput{Command: "who are you"})
	if err != nil {
		return "", err
	}
	return out.Message.BaseBody.Plaintext, nil
}

func describe(ctx context.Context, manager *plugin.Manager, key string) (string, error) {
	client, err := manager.GetSource(key)
	if err != nil {
		return "", err
	}
	out, err := client.Metadata(ctx)
	if err != nil {
		return "", err
	}
	return out.Description, nil
}

func answer(text string, err error) Answer {
	if err != nil {
		return Answer{Error: err.Error()}
	}
	return Answer{Text: text}
}
