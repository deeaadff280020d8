package cmd

import (
	"cmp"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/deploy"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
	"github.com/botkube-mirror/botkube-mirror/internal/values"
)

type valuesFlags struct {
	values.Options
	subPath                      string
	platforms, apiServers, allow []string
	// onLine has the flags on the command line. Flags in the configuration file or the environment
	// may be meant for other commands.
	onLine map[string]bool
}

func valuesCommand(g *global) *cobra.Command {
	var flags valuesFlags
	var net networkFlags
	c := &cobra.Command{
		Use:   "values TARGET",
		Short: "Print the Helm values that make an agent use a mirror",
		Long: `Print Helm values to use on top of your own. They make the agent start from the
mirror and call nothing outside. TARGET is any mirror that list can show.

Choose how the files come to the agent:

  --pvc NAME         in a PersistentVolumeClaim that has them already
  --seed-from IMAGE  in a claim that a Job fills from the image that push wrote,
                     before Helm starts the agent; --pvc names the claim
  --image IMAGE      in that image, mounted as a volume (Kubernetes 1.35 or
                     later)
  --base-url URL     from a web server or botkube-mirror serve

Comments in the output say why each value is needed. Without Helm, use
--format manifests for objects to apply, or --format patch for the changes to
the agent's Deployment.`,
		Example: `  # files in a claim
  botkube-mirror values ./plugins --pvc botkube-plugins > mirror.yaml

  # files in an image
  botkube-mirror values bundle.tar > mirror.yaml \
    --image registry.example.com/mirror/botkube-plugins:v1.14.0

  # a claim that a Job fills; the agent's image from the same registry
  botkube-mirror values bundle.tar --platform linux/amd64 > mirror.yaml \
    --seed-from registry.example.com/mirror/botkube-plugins:v1.14.0 \
    --registry registry.example.com/mirror

  # then install
  helm upgrade --install botkube ./botkube-v1.14.0.tgz \
    --values yours.yaml --values mirror.yaml`,
		Args: func(c *cobra.Command, args []string) error {
			flags.onLine = map[string]bool{}
			c.Flags().Visit(func(f *pflag.Flag) { flags.onLine[f.Name] = true })
			return exactArgs("TARGET")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			o, err := flags.options(c)
			if err != nil {
				return err
			}
			o.Format = values.Format(g.format)
			made, err := inSession(c.Context(), g, net.sources(args...), func(s *mirror.Session) (*deploy.Rendering, error) {
				return s.Values(c.Context(), args[0], o)
			})
			if err != nil {
				return err
			}
			made.Quote(func(s string) bool { return tame(s) != s })
			text, err := made.YAML()
			if err != nil {
				return err
			}
			return g.print(made, func(out *layout) { out.raw(string(text)) })
		},
	}
	flags.register(c)
	net.register(c)
	return c
}

func (v *valuesFlags) register(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&v.Claim, "pvc", "", "`NAME` PersistentVolumeClaim with the agent's cache directory (default: botkube-plugins, with --seed-from)")
	flags.StringVar(&v.SeedFrom, "seed-from", "", "`IMAGE` Fill the claim from this image with a Job. The claim is made if it does not exist.")
	flags.StringVar(&v.Image, "image", "", "`IMAGE` Mount this image. push published it, or pull wrote it with -o image:FILE.tar.")
	flags.StringVar(&v.BaseURL, "base-url", "", "`URL` Download from this URL, where the site is served")
	flags.StringVar(&v.subPath, "sub-path", "", "`PATH` Directory of the mirror in the claim (default: linux-amd64 and so on if there are several platforms, otherwise the top)")
	flags.StringVar(&v.Assumed, "mount", defaultMount, "`PATH` Where the agent sees the mirror. It is used if the mirror was not written for a certain path.")
	group(flags, "How the files come to the agent")
	flags.StringVar(&v.Storage, "storage-size", "", "`SIZE` Size of the new claim, such as 5Gi (default: from the size of the mirror)")
	flags.StringVar(&v.StorageClass, "storage-class", "", "`NAME` Storage class of the new claim (default: the cluster's)")
	flags.StringVar(&v.AccessMode, "access-mode", "ReadWriteOnce", "`MODE` Access mode of the new claim")
	group(flags, "The claim for --seed-from")
	flags.StringArrayVar(&v.Values, "values", nil, "`FILE` Your own Helm values. Their lists are carried over, because Helm replaces lists. A NetworkPolicy allows what they need in the cluster. Later files win over earlier ones.")
	allEnabledFlag(flags, &v.AllEnabled)
	flags.StringVar(&v.Version, "version", "", "`VERSION` Botkube version, if the mirror does not have it")
	flags.StringArrayVar(&v.platforms, "platform", nil, "`OS/ARCH` Platform of the nodes where the agent runs. Commas may separate several. (default: all of the mirror)")
	flags.StringVar(&v.Registry, "registry", "", "`REGISTRY/PREFIX` Pull the agent's image from where push put it")
	flags.StringArrayVar(&v.PullSecrets, "pull-secret", nil, "`NAME` Secret for pulling images")
	group(flags, "Your agent and cluster")
	flags.BoolVar(&v.Policy, "network-policy", false, "Add a NetworkPolicy that blocks everything else. It allows DNS, the API server, and what the agent needs in the cluster.")
	flags.StringArrayVar(&v.apiServers, "api-server", nil, "`CIDR[:PORT]` Address of the API server (default: private addresses, ports 443 and 6443)")
	flags.StringArrayVar(&v.allow, "allow", nil, "`CIDR[:PORT]` Allow this address too")
	group(flags, "NetworkPolicy")
}

func (v *valuesFlags) options(c *cobra.Command) (o values.Options, err error) {
	if err := cmp.Or(v.check(c), checkAllEnabled(v.AllEnabled, v.Values)); err != nil {
		return o, err
	}
	v.choose()
	o = v.Options
	if o.SeedFrom != "" && o.Claim == "" {
		o.Claim = "botkube-plugins"
	}
	if v.onLine["mount"] {
		o.Mount = v.Assumed
	}
	if c.Flags().Changed("sub-path") {
		o.SubPath = &v.subPath
	}
	if o.Platforms, _, err = parsePlatforms(v.platforms); err != nil {
		return o, err
	}
	if o.APIServers, err = parseEach("api-server", v.apiServers, deploy.ParseNetwork); err != nil {
		return o, err
	}
	o.Allow, err = parseEach("allow", v.allow, deploy.ParseNetwork)
	return o, err
}

// check refuses flags that need another flag which is not given.
func (v *valuesFlags) check(c *cobra.Command) error {
	needs := []struct {
		needed string
		given  bool
		flags  []string
	}{
		{"--seed-from", v.SeedFrom != "", []string{"storage-size", "storage-class", "access-mode"}},
		{"--pvc or --seed-from", v.Claim != "" || v.SeedFrom != "", []string{"sub-path"}},
		{"--network-policy", v.Policy, []string{"api-server", "allow"}},
	}
	for _, n := range needs {
		for _, name := range n.flags {
			if !n.given && v.onLine[name] {
				return fault.New(fault.Usage, "--%s needs %s", name, n.needed).
					WithHint("see %s --help", c.CommandPath())
			}
		}
	}
	return nil
}

// choose keeps only the ways on the command line, if there are any. Others may come from the
// configuration file.
func (v *valuesFlags) choose() {
	ways := map[string]*string{"pvc": &v.Claim, "seed-from": &v.SeedFrom, "image": &v.Image, "base-url": &v.BaseURL}
	named := false
	for name := range ways {
		named = named || v.onLine[name]
	}
	for name, value := range ways {
		// --pvc and --seed-from may be given together.
		of := v.onLine[name] || name == "pvc" && v.onLine["seed-from"] || name == "seed-from" && v.onLine["pvc"]
		if named && !of {
			*value = ""
		}
	}
}
