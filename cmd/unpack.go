package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

func unpackCommand(g *global) *cobra.Command {
	var sub subsetFlags
	var write writeFlags
	var net networkFlags
	var digest string
	c := &cobra.Command{
		Use:   "unpack BUNDLE --output TARGET",
		Short: "Make a directory, another bundle or an image of a bundle, offline",
		Long: `Make of a bundle what the other side needs, verifying every byte on the way.
BUNDLE is a file, an OCI layout directory, docker://REFERENCE in a registry, or
- for standard input; or a directory that the agent starts from, to copy it to a
volume. Only a registry needs a network.`,
		Example: `  botkube-mirror unpack bundle.tar -o /mnt/plugins
  botkube-mirror unpack bundle.tar --platform linux/arm64 --plugin botkubeExtra/helm -o ./plugins
  botkube-mirror unpack docker://registry.example.com/mirror/botkube-plugins-bundle:v1.14.0 -o ./plugins
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
			return g.printTo(g.resultTo(o.Outputs), result, func(out *layout) { out.raw(unpackSummary(result)) })
		},
	}
	c.Flags().StringVar(&digest, "lock-digest", "", "`DIGEST` (sha256:…) that the lock must have: whatever has another is an error, and nothing is written")
	sub.register(c)
	write.register(c)
	net.register(c)
	return c
}

// lockDigest reads --lock-digest; nil is none.
func lockDigest(s string) (*lock.SHA256, error) {
	if s == "" {
		return nil, nil
	}
	hex, ok := strings.CutPrefix(s, "sha256:")
	d, err := lock.ParseSHA256(hex)
	if !ok || err != nil {
		return nil, fault.New(fault.Usage, "--lock-digest %.80q is no digest", s).WithHint("write sha256: and 64 hexadecimal digits, as values prints them")
	}
	return &d, nil
}

func unpackSummary(r *mirror.Unpacked) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s for %s, verified\n", count(len(r.Plugins), "plugin"), agent.JoinPlatforms(r.Platforms))
	if r.FetchedBytes > 0 {
		fmt.Fprintf(&out, "%s downloaded\n", size(r.FetchedBytes))
	}
	for _, o := range r.Outputs {
		writeState(&out, o)
		if !r.Copied { // the copy of a directory is on its volume already
			out.WriteString(o.Next(r.Platforms, r.Mount))
		}
	}
	return out.String()
}
