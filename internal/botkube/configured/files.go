package configured

import (
	"context"
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
