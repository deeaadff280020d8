package cmd

import (
	"cmp"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/forms"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

type writeFlags struct {
	outputs []string
	baseURL string
	imageFlags
}

func (w *writeFlags) register(c *cobra.Command) {
	c.Flags().StringArrayVarP(&w.outputs, "output", "o", nil,
		"`TARGET` Write this: DIR, FILE.tar, oci:DIR, image:FILE.tar or site:DIR. They are a directory for an agent, a bundle in a file or in a directory, an image, and a site for a web server. With -, a bundle goes to standard output.")
	c.Flags().StringVar(&w.baseURL, "base-url", "", "`URL` URL under which the site will be served")
	w.imageFlags.register(c)
	group(c.Flags(), writeGroup)
}

func (w *writeFlags) options(g *global) (o mirror.WriteOptions, err error) {
	for _, output := range w.outputs {
		target, err := forms.All.ParseTarget(output)
		if err != nil {
			return o, err
		}
		if target.Path == "-" && isTerminal(g.env.Stdout) {
			return o, fault.New(fault.Usage, "standard output is a terminal, and a bundle is not text").
				WithHint("redirect it to a file or a pipe, or name a file: -o bundle.tar")
		}
		o.Outputs = append(o.Outputs, target)
	}
	o.Mount, o.BaseURL, o.Stdout = w.mount, w.baseURL, g.env.Stdout
	if o.ModTime, err = g.modTime(); err != nil {
		return o, err
	}
	o.Seeders, err = w.seederOptions()
	return o, err
}

// resultTo returns where the result is printed. If a bundle goes to standard output, that is standard
// error.
func (g *global) resultTo(outputs []form.Target) io.Writer {
	if slices.ContainsFunc(outputs, func(t form.Target) bool { return t.Path == form.StandardStream }) {
		return g.env.Stderr
	}
	return g.env.Stdout
}

const defaultMount = "/plugins"

type imageFlags struct {
	mount   string
	seeders []string
}

func (i *imageFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&i.mount, "mount", defaultMount, "`PATH` Where the agent sees the directory or image. It is the agent's plugins.cacheDir.")
	c.Flags().StringArrayVar(&i.seeders, "seeder", nil,
		"`OS/ARCH=FILE` Put this static botkube-mirror into the image. The image starts it to fill a volume. none leaves it out. (default: this program, for its own platform)")
}

func (i *imageFlags) seederOptions() (o form.Seeders, err error) {
	for _, s := range i.seeders {
		if s == "none" {
			o.None = true
			continue
		}
		name, file, found := strings.Cut(s, "=")
		platform, err := parsePlatform(name)
		if !found || file == "" || err != nil {
			return o, fault.New(fault.Usage, "--seeder %q is not of the form OS/ARCH=FILE", s).WithHint("%s", cmp.Or(fault.HintOf(err), "write it like linux/arm64=./botkube-mirror-arm64"))
		}
		o.Given = append(o.Given, form.Seeder{Platform: platform, Path: file})
	}
	if o.None && len(o.Given) > 0 {
		return o, fault.New(fault.Usage, "--seeder none cannot be used with another --seeder")
	}
	return o, nil
}
