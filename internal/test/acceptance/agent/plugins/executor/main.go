// Command executor is a Botkube executor plugin that answers any command with a description of itself.
package main

import (
	"context"

	goplugin "github.com/hashicorp/go-plugin"

	"github.com/kubeshop/botkube/pkg/api"
	"github.com/kubeshop/botkube/pkg/api/executor"

	"github.com/botkube-mirror/botkube-mirror/internal/test/acceptance/agent/plugins/self"
)

type narcissus struct{}

func (narcissus) Metadata(context.Context) (api.MetadataOutput, error) {
	text, err := self.Describe()
	return api.MetadataOutput{Version: "v0.0.0", Description: text}, err
}

func (narcissus) Execute(context.Context, executor.ExecuteInput) (executor.ExecuteOutput, error) {
	text, err := self.Describe()
	return executor.ExecuteOutput{Message: api.NewPlaintextMessage(text, false)}, err
}

func (narcissus) Help(context.Context) (api.Message, error) {
	return api.Message{}, nil
}

func main() {
	executor.Serve(map[string]goplugin.Plugin{"executor": &executor.Plugin{Executor: narcissus{}}})
}
