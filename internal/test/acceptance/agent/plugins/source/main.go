// Command source is a Botkube source plugin whose metadata and only event are a description of itself.
package main

import (
	"context"

	goplugin "github.com/hashicorp/go-plugin"

	"github.com/kubeshop/botkube/pkg/api"
	"github.com/kubeshop/botkube/pkg/api/source"

	"github.com/botkube-mirror/botkube-mirror/internal/test/acceptance/agent/plugins/self"
)

type narcissus struct {
	source.HandleExternalRequestUnimplemented
}

func (narcissus) Metadata(context.Context) (api.MetadataOutput, error) {
	text, err := self.Describe()
	return api.MetadataOutput{Version: "v0.0.0", Description: text}, err
}

func (narcissus) Stream(ctx context.Context, _ source.StreamInput) (source.StreamOutput, error) {
	text, err := self.Describe()
	if err != nil {
		return source.StreamOutput{}, err
	}
	out := source.StreamOutput{Event: make(chan source.Event)}
	go func() {
		defer close(out.Event)
		select {
		case out.Event <- source.Event{Message: api.NewPlaintextMessage(text, false)}:
		case <-ctx.Done():
		}
	}()
	return out, nil
}

func main() {
	source.Serve(map[string]goplugin.Plugin{"source": &source.Plugin{Source: narcissus{}}})
}
