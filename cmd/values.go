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
	// onLine are the flags on the command line. Flags from the configuration file or the environment
	// may be meant for other commands.
	onLine map[string]bool
}

func valuesCommand(g *global) *cobra.Command {
	var flags valuesFlags
	var net networkFlags
	c := &cobra.Command{
		Use:   "values TARGET",
		Short: "Print Helm values that make the agent start from a mirror",
		Long: `Print Helm values to layer over your own, so that the agent starts from a mirror
and calls nothing outside. TARGET is whatever this program writes, as for list.

The files come to the agent in one of four ways:

  --pvc NAME          in a PersistentVolumeClaim that holds them
  --seed-from IMAGE   in a claim that is made if need be, and that a Job fills
                      from the image that push published, before Helm starts
                      the agent; --pvc NAME names it (botkube-plugins)
  --image IMAGE       in that image itself, mounted (Kubernetes 1.35 and later)
  --base-url URL      from a site, or botkube-mirror serve

Comments in the output say why each value is there; --format json leaves them
out. For those without Helm, --format manifests gives plain objects to apply,
and --format patch what changes in the agent's Deployment.`,
		Example: `  botkube-mirror values bundle.tar --image registry.example.com/mirror/botkube-plugins:v1.14.0 > mirror.yaml
  botkube-mirror values ./plugins --pvc botkube-plugins --network-policy > mirror.yaml
  botkube-mirror values bundle.tar --seed-from registry.example.com/mirror/botkube-plugins:v1.14.0 --platform linux/amd64 --registry registry.example.com/mirror
  helm upgrade --install botkube ./botkube-v1.14.0.tgz --values yours.yaml --values mirror.yaml`,
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
	flags.StringArrayVar(&v.Values, "values", nil, "your own Helm values, a `FILE`; their lists are carried over, and the NetworkPolicy allows what they need in the cluster; repeatable, as for helm")
	allEnabledFlag(flags, &v.AllEnabled)
	flags.StringVar(&v.Version, "version", "", "Botkube version, for a mirror that does not say it")
	flags.StringVar(&v.Claim, "pvc", "", "`NAME` of the PersistentVolumeClaim with the agent's cache directory")
	flags.StringVar(&v.subPath, "sub-path", "", "`PATH` of the directory in the claim (default: linux-amd64 and the like if the mirror is for several platforms, else the volume itself)")
	flags.StringVar(&v.SeedFrom, "seed-from", "", "`IMAGE` from which a Job fills the claim, which is made if it is not there")
	flags.StringVar(&v.Storage, "storage-size", "", "`SIZE` of the claim that is made, for example 5Gi (default: by the size of what is mirrored)")
	flags.StringVar(&v.StorageClass, "storage-class", "", "storage class of the claim that is made (default: the cluster's)")
	flags.StringVar(&v.AccessMode, "access-mode", "ReadWriteOnce", "access mode of the claim that is made: ReadWriteOnce or ReadWriteMany")
	flags.StringVar(&v.Image, "image", "", "`IMAGE` to mount: the one that push published, or that was made with -o image:")
	flags.StringVar(&v.BaseURL, "base-url", "", "`URL` at which a site is served")
	flags.StringVar(&v.Assumed, "mount", defaultMount, "where the agent is to see the mirror, if that does not say what it was written for")
	flags.StringArrayVar(&v.platforms, "platform", nil, "platform of the nodes that the agent runs on, as `OS/ARCH`; repeatable (default: all of the mirror)")
	flags.StringVar(&v.Registry, "registry", "", "`REGISTRY/PREFIX` that push was given, to take the agent's image from there")
	flags.StringArrayVar(&v.PullSecrets, "pull-secret", nil, "`NAME` of a secret with which images are pulled; repeatable")
	flags.BoolVar(&v.Policy, "network-policy", false, "add a NetworkPolicy that denies the agent all but DNS, the API server and what it needs in the cluster")
	flags.StringArrayVar(&v.apiServers, "api-server", nil, "where the API server is, for the NetworkPolicy, as `CIDR[:PORT]`; repeatable (default: private addresses, ports 443 and 6443)")
	flags.StringArrayVar(&v.allow, "allow", nil, "what else the NetworkPolicy allows, as `CIDR[:PORT]`; repeatable")
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

// check refuses flags that qualify a flag which is not given.
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
				return fault.New(fault.Usage, "--%s says something about %s, which is not given", name, n.needed).
					WithHint("see %s --help", c.CommandPath())
			}
		}
	}
	return nil
}

// choose drops ways for files to reach the agent that are not on the command line, if one is.
func (v *valuesFlags) choose() {
	ways := map[string]*string{"pvc": &v.Claim, "seed-from": &v.SeedFrom, "image": &v.Image, "base-url": &v.BaseURL}
	named := false
	for name := range ways {
		named = named || v.onLine[name]
	}
	for name, value := range ways {
		// --pvc and --seed-from are two ways, but belong together.
		of := v.onLine[name] || name == "pvc" && v.onLine["seed-from"] || name == "seed-from" && v.onLine["pvc"]
		if named && !of {
			*value = ""
		}
	}
}
