package cmd

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func versionCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version  string `json:"version"`
				Go       string `json:"go"`
				Platform string `json:"platform"`
			}{programVersion(g.env.Version), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			return g.print(v, func(out *layout) { out.raw(fmt.Sprintf("botkube-mirror %s (%s, %s)\n", v.Version, v.Go, v.Platform)) })
		},
	}
}

// programVersion returns the version that the linker set. After go install, it is the version of the
// module.
func programVersion(linked string) string {
	if linked != "" {
		return linked
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}
