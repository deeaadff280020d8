package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/sirupsen/logrus"

	"github.com/kubeshop/botkube/pkg/config"
	"github.com/kubeshop/botkube/pkg/plugin"
)

// Configuration is what the chart gives the agent.
type Configuration struct {
	Documents   [][]byte          `json:"documents"`
	Environment map[string]string `json:"environment"`
}

// Enabled is which plugins the agent starts with a configuration, sorted.
type Enabled struct {
	Error     string   `json:"error,omitempty"` // of a configuration that it refuses
	Executors []string `json:"executors"`
	Sources   []string `json:"sources"`
}

// enabled answers each configuration that it reads.
func enabled(in io.Reader, out io.Writer) error {
	decoder, encoder := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var c Configuration
		if err := decoder.Decode(&c); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := encoder.Encode(enabledBy(c)); err != nil {
			return err
		}
	}
}

func enabledBy(c Configuration) Enabled {
	for name, value := range c.Environment {
		if err := os.Setenv(name, value); err != nil {
			return Enabled{Error: err.Error()}
		}
		defer os.Unsetenv(name)
	}
	loaded, _, err := config.LoadWithDefaults(c.Documents)
	if err != nil {
		return Enabled{Error: err.Error()}
	}
	log := logrus.New()
	log.SetOutput(io.Discard)
	executors, sources := plugin.NewCollector(log).GetAllEnabledAndUsedPlugins(loaded)
	slices.Sort(executors)
	slices.Sort(sources)
	return Enabled{Executors: executors, Sources: sources}
}
