package cmd

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/push"
)

func pushCommand(g *global) *cobra.Command {
	var sub subsetFlags
	var img imageFlags
	var reg, source registryFlags
	var skip []string
	var chartPath string
	var force bool
	var transfer transferFlags
	c := &cobra.Command{
		Use:   "push BUNDLE REGISTRY/PREFIX",
		Short: "Publish a bundle's content in a registry",
		Long: `Publish what a bundle holds below REGISTRY/PREFIX, tagged with the Botkube version:

  PREFIX/botkube-plugins          image to mount, or to seed a volume from
  PREFIX/botkube-plugins-bundle   the bundle itself, for unpack docker://…
  PREFIX/botkube                  the agent's image, if the bundle has it
  PREFIX/charts/botkube           the Helm chart, if the bundle has it; see --chart-path

BUNDLE is as for unpack. What the registry has is not sent again. Credentials are
those of docker login.`,
		Example: `  botkube-mirror push bundle.tar registry.example.com/mirror
  botkube-mirror push bundle.tar registry.example.com/mirror --skip image --ca-file ca.pem
  botkube-mirror push docker://registry.example.com/mirror/botkube-plugins-bundle:v1.14.0 other.example.com/mirror`,
		Args: exactArgs("BUNDLE", "REGISTRY/PREFIX"),
		RunE: func(c *cobra.Command, args []string) error {
			o := mirror.PushOptions{Source: args[0], Stdin: g.env.Stdin, Mount: img.mount}
			o.Options = push.Options{Prefix: args[1], ChartPath: chartPath, Force: force}
			var err error
			if o.SubsetOptions, err = sub.options(); err != nil {
				return err
			}
			if o.Skip, err = parts(skip); err != nil {
				return err
			}
			if o.Seeders, err = img.seederOptions(); err != nil {
				return err
			}
			if o.ModTime, err = g.modTime(); err != nil {
				return err
			}
			n := source.needs(transfer, args[0])
			n.source, n.registry = n.registry, &reg
			var result *push.Result
			err = g.withSession(n, func(s *mirror.Session) error {
				result, err = s.Push(c.Context(), o)
				return err
			})
			if err != nil {
				return err
			}
			return g.print(result, func() string { return pushSummary(result, o) })
		},
	}
	sub.register(c)
	img.register(c)
	reg.register(c)
	source.registerSource(c)
	c.Flags().StringArrayVar(&skip, "skip", nil, "`PART` to leave out: image, bundle, agent-image, watcher-image or chart; repeatable, or several with commas")
	c.Flags().StringVar(&chartPath, "chart-path", push.DefaultChartPath, "`PATH` below PREFIX of the Helm chart; for registries whose names have two levels only: botkube-chart")
	c.Flags().BoolVar(&force, "force", false, "replace tags that have other content")
	transfer.register(c)
	return c
}

func parts(names []string) ([]push.Part, error) {
	var all []push.Part
	for _, name := range commaSeparated(names) {
		part := push.Part(name)
		if !slices.Contains(push.Parts, part) {
			var known []string
			for _, p := range push.Parts {
				known = append(known, string(p))
			}
			return nil, fault.New(fault.Usage, "--skip %q is none of %s", name, strings.Join(known, ", "))
		}
		all = append(all, part)
	}
	return all, nil
}
