package main

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// TestPage has text that roff or Markdown would take for its own come through as it is.
func TestPage(t *testing.T) {
	c := &cobra.Command{
		Use: "carry FILE", Short: "Carry it", Run: func(*cobra.Command, []string) {},
		Long: "Take *.tar and _what_ is in it.\n.netrc is read, and C:\\temp.\n\n    kept  as it is\n\nThe end.",
	}
	c.Flags().Bool("quiet", false, "say nothing")
	c.Flags().String("to", "", "write to `DIR`")
	c.Flags().String("image", "", "take the image, or `=REFERENCE`")
	c.Flags().Lookup("image").NoOptDefVal = "default"
	c.Example = "  carry 'a^b' `~/c`"
	got := string(page(c, time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)))
	for _, want := range []string{
		".TH CARRY 1 2026-01-02 ",
		"Take *.tar and _what_ is in it.\n\\&.netrc is read, and C:\\etemp.\n",
		".nf\n    kept  as it is\n.fi\n",
		".TP\n\\fB\\-\\-quiet\\fR\nsay nothing\n",
		".TP\n\\fB\\-\\-to DIR\\fR\nwrite to DIR\n",
		".TP\n\\fB\\-\\-image[=REFERENCE]\\fR\ntake the image, or =REFERENCE\n",
		"  carry \\(aqa\\(hab\\(aq \\(ga\\(ti/c\\(ga\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it lacks %q:\n%s", want, got)
		}
	}
}
