package configured

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/chart"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/legible"
)

// Files reads files. They may be pipes, and so can be read once only.
func Files(ctx context.Context, names []string) ([]chart.File, error) {
	var files []chart.File
	for _, name := range names {
		data, err := disk.Await(ctx, func() ([]byte, error) { return readSmall(name) })
		if err != nil {
			return nil, fault.New(fault.Usage, "reading values: %w", err)
		}
		files = append(files, chart.File{Name: name, Data: data})
	}
	return files, nil
}

// readSmall reads a file, or a pipe, of at most the size of a configuration.
func readSmall(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil {
		return nil, err
	} else if fi.IsDir() {
		return nil, fmt.Errorf("%s is a directory", name)
	}
	data, err := io.ReadAll(io.LimitReader(f, agent.MaxConfig+1))
	if err == nil && len(data) > agent.MaxConfig {
		err = fmt.Errorf("%s has more than the %d bytes that are read", name, agent.MaxConfig)
	}
	if err != nil {
		return nil, err
	}
	if data, err = legible.Text(data); err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return data, err
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
