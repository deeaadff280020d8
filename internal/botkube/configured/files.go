package configured

import (
	"context"
	"errors"
	"fmt"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// Files reads files. They may be pipes, and so can be read once only.
func Files(ctx context.Context, names []string) ([]chart.File, error) {
	var files []chart.File
	for _, name := range names {
		data, err := disk.Await(ctx, func() ([]byte, error) { return readText(name) })
		if err != nil {
			return nil, fault.New(fault.Usage, "reading values: %w", err).WithHint("name the values files that you give to Helm, in its order")
		}
		files = append(files, chart.File{Name: name, Data: data})
	}
	return files, nil
}

// readText reads a file of at most the size of a configuration.
func readText(name string) ([]byte, error) {
	data, err := disk.ReadFile(name, agent.MaxConfig)
	if err == nil {
		data, err = textfile.Decode(data)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

// MissesPlatforms reports whether an error says that a Secret with the chat platforms is
// not among the files.
func MissesPlatforms(err error) bool {
	_, missing := errors.AsType[*chart.MissingSecret](err)
	return missing || errors.Is(err, chart.ErrNoPlatforms)
}

// withNextStep adds a hint to what is wrong with files.
func withNextStep(err error) error {
	const give = "give it too: kubectl get secret %s -o yaml > platforms.yaml, and --values platforms.yaml"
	const without = "\nwithout it, --all-enabled takes every plugin that the values enable, bound or not"
	wrapped := fault.New(fault.Usage, "reading values: %w", err)
	secret, missing := errors.AsType[*chart.MissingSecret](err)
	switch {
	case missing:
		return wrapped.WithHint(give+without, secret.Name)
	case errors.Is(err, chart.ErrNoPlatforms):
		return wrapped.WithHint(give+"; the chart calls it botkube-communication-secret, unless existingCommunicationsSecretName names another"+without, "NAME")
	case errors.Is(err, chart.ErrNoConfiguration):
		return wrapped.WithHint("give all of what helm template renders, or of kubectl get configmap,secret,deployment -o yaml in the agent's namespace; or give Helm values too")
	case errors.Is(err, agent.ErrRefused):
		return wrapped.WithHint("correct it in the values, or in the variables (extraEnv) that win over them")
	case errors.Is(err, chart.ErrNoVersion):
		return wrapped.WithHint("give it: --version v1.14.0; or give what helm template renders, whose labels say it")
	}
	return wrapped
}
