package cmd

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

func unpackCommand(g *global) *cobra.Command {
	var sub subsetFlags
	var write writeFlags
	var net networkFlags
	var digest string
	c := &cobra.Command{
		Use:   "unpack BUNDLE --output TARGET",
		Short: "Write a bundle as a directory, image or site, offline",
		Long: `Write the content of a bundle in the form that you need, and check every byte on
the way. BUNDLE is a file, a directory, docker://REFERENCE in a registry, or -
for standard input. Only a registry needs a network.

BUNDLE may also be a directory for an agent, to copy it to a volume.`,
		Example: `  # a directory for the agent
  botkube-mirror unpack bundle.tar -o /mnt/plugins

  # one plugin for one platform
  botkube-mirror unpack bundle.tar --platform linux/arm64 \
    --plugin botkubeExtra/helm -o ./plugins

  # from a registry
  botkube-mirror unpack -o ./plugins \
    docker://registry.example.com/mirror/botkube-plugins-bundle:v1.14.0

  # an image, from another machine
  ssh far cat bundle.tar | botkube-mirror unpack - -o image:image.tar`,
		Args: exactArgs("BUNDLE"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			o := mirror.UnpackOptions{Source: args[0]}
			if o.LockDigest, err = lockDigest(digest); err != nil {
				return err
			}
			if o.Selection, err = sub.options(); err != nil {
				return err
			}
			if o.WriteOptions, err = write.options(g); err != nil {
				return err
			}
			result, err := inSession(c.Context(), g, net.sources(args...), func(s *mirror.Session) (*mirror.Unpacked, error) {
				return s.Unpack(c.Context(), o)
			})
			if err != nil {
				return err
			}
			return g.printTo(g.resultTo(o.Outputs), result, func(out *layout) { unpackSummary(out, result) })
		},
	}
	sub.register(c)
	write.register(c)
	c.Flags().StringVar(&digest, "lock-digest", "", "`DIGEST` Refuse a bundle whose lock has another digest. It is sha256: and 64 hexadecimal digits, as values prints it.")
	group(c.Flags(), runFlags)
	net.register(c)
	return c
}

// lockDigest reads --lock-digest. Without a value, it returns nil.
func lockDigest(s string) (*lock.SHA256, error) {
	if s == "" {
		return nil, nil
	}
	hex, ok := strings.CutPrefix(s, "sha256:")
	d, err := lock.ParseSHA256(hex)
	if !ok || err != nil {
		return nil, fault.New(fault.Usage, "--lock-digest %.80q is not a digest", s).WithHint("write sha256: and 64 hexadecimal digits, as in the output of values")
	}
	return &d, nil
}

func unpackSummary(out *layout, r *mirror.Unpacked) {
	downloaded := ""
	if r.FetchedBytes > 0 {
		downloaded = size(r.FetchedBytes) + " downloaded"
	}
	out.written(r.Outputs, contents(len(r.Plugins), 0, r.Platforms)+", every byte verified", downloaded)
	var advice []form.Advice
	for _, o := range r.Outputs {
		if !r.Copied { // the copy of a directory is on its volume already
			advice = append(advice, o.Next(r.Platforms, r.Mount))
		}
	}
	for _, a := range advice {
		out.settings(a.Settings)
	}
	out.steps(advice)
}
