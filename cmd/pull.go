package cmd

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

func pullCommand(g *global) *cobra.Command {
	var sel selectionFlags
	var members memberFlags
	var write writeFlags
	var reg registryFlags
	var transfer transferFlags
	var download downloadFlags
	var dryRun, keepGoing bool
	c := &cobra.Command{
		Use:   "pull --version VERSION --output TARGET",
		Short: "Resolve, download and verify plugins, and write them for the other side",
		Long: `Resolve, download and verify plugins and what they need, and write them as
a directory that the agent starts from, as a bundle to carry over the gap, as an
image to mount, or as a web root to serve. Several outputs are written from one
download.

All plugins of the repositories are mirrored, or what --plugin names, or what an
agent with the Helm values of --values would start. What those leave out is told,
with the reason.

It begins only if the disks have room for the downloads and the outputs; see
--dry-run. The first download that fails ends it, unless --keep-going is given.`,
		Example: `  botkube-mirror pull --version v1.14.0 -o bundle.tar
  botkube-mirror pull --version v1.14.0 --platform linux/amd64 --platform linux/arm64 --with-agent-image --with-chart -o bundle.tar
  botkube-mirror pull --version v1.14.0 --plugin botkube/kubectl --plugin botkubeExtra/helm --platform linux/arm64 -o ./plugins
  botkube-mirror pull --version v1.14.0 --values values.yaml -o bundle.tar
  botkube-mirror pull --version v1.14.0 -o site:/srv/www --base-url https://mirror.example.com/botkube
  botkube-mirror pull --repository internal=https://plugins.example.com/plugins-index.yaml -o ./plugins`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o := mirror.PullOptions{DryRun: dryRun, KeepGoing: keepGoing}
			var err error
			if o.Selection, err = sel.selection(g); err != nil {
				return err
			}
			o.Members = members.members()
			if o.WriteOptions, err = write.options(g); err != nil {
				return err
			}
			var result *mirror.Result
			err = g.withSession(needs{transfer: transfer, download: download, store: true, upstream: true, registry: &reg}, func(s *mirror.Session) error {
				result, err = s.Pull(c.Context(), o)
				return err
			})
			if _, incomplete := errors.AsType[*mirror.Incomplete](err); err != nil && !(incomplete && (dryRun || g.format == "json")) {
				return err
			}
			return errors.Join(err, g.printTo(write.resultTo(g), result, func() string { return pullSummary(result) }))
		},
	}
	sel.register(c)
	members.register(c)
	write.register(c)
	reg.register(c)
	c.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be downloaded and what room that takes, and download no artifact")
	keepGoingFlag(c, &keepGoing)
	transfer.register(c)
	download.register(c)
	return c
}

// keepGoingFlag registers the flag that has a run go on after failures.
func keepGoingFlag(c *cobra.Command, keepGoing *bool) {
	c.Flags().BoolVar(keepGoing, "keep-going", false,
		"download all that can be had after a download failed; then list the failures, write nothing, and exit with 5")
}
