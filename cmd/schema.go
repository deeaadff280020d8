package cmd

import (
	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/configfile"
)

func schemaCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration file",
		Long: `Print the JSON Schema (draft 7) of the configuration file. With it, editors
complete keys, explain them, and mark mistakes.`,
		Example: `  botkube-mirror schema > botkube-mirror.schema.json

  # the first line of botkube-mirror.yaml
  # yaml-language-server: $schema=botkube-mirror.schema.json`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			schema, err := configfile.Schema("Configuration file of botkube-mirror", g.grammar())
			if err != nil {
				return err
			}
			_, err = g.env.Stdout.Write(schema)
			return err
		},
	}
}
