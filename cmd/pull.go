package cmd

import (
	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

func pullCommand(g *global) *cobra.Command {
	var sel selectionFlags
	var outputs []string
	var mount string
	var parallel int
	var dryRun bool
	c := &cobra.Command{
		Use:   "pull --version VERSION --output DIR",
		Short: "Resolve, download and verify plugins, and write a directory that the agent starts from",
		Example: `  botkube-mirror pull --version v1.14.0 -o ./plugins
  botkube-mirror pull --version v1.14.0 --plugin botkube/kubectl --plugin botkubeExtra/helm --platform linux/arm64 -o ./plugins
  botkube-mirror pull --repository internal=https://plugins.example.com/plugins-index.yaml -o ./plugins`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o := mirror.PullOptions{Mount: mount, DryRun: dryRun}
			var err error
			if o.Selection, err = sel.selection(); err != nil {
				return err
			}
			for _, output := range outputs {
				target, err := mirror.ParseTarget(output)
				if err != nil {
					return err
				}
				o.Outputs = append(o.Outputs, target)
			}
			var result *mirror.Result
			err = g.withSession(parallel, func(s *mirror.Session) error {
				result, err = s.Pull(c.Context(), o)
				return err
			})
			if err != nil {
				return err
			}
			return g.print(result, func() string { return pullSummary(result) })
		},
	}
	sel.register(c)
	flags := c.Flags()
	flags.StringArrayVarP(&outputs, "output", "o", nil, "`DIR` to write; several platforms get a sub-directory each; repeatable")
	flags.StringVar(&mount, "mount", "/plugins", "where the agent will see the directory: its plugins.cacheDir")
	flags.BoolVar(&dryRun, "dry-run", false, "print what would be downloaded, and download no artifact")
	registerParallel(c, &parallel)
	return c
}

func registerParallel(c *cobra.Command, parallel *int) {
	c.Flags().IntVar(parallel, "parallel", 4, "how many files to download at a time")
}
