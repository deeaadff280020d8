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
		Long: "Take *.tar and _what_ is in it, and C:\\temp.\n\n.netrc is read.\n\n  .tar  a 'file'\n\nThe end.",
	}
	c.Flags().Bool("quiet", false, "Say nothing")
	c.Flags().String("to", "", "`DIR` Write to this. It is made.")
	c.Flags().String("image", "", "`=REFERENCE` Take the image")
	c.Flags().Lookup("image").NoOptDefVal = "default"
	c.Example = "  carry 'a^b' `~/c`"
	got := string(page(c, time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)))
	for _, want := range []string{
		".TH CARRY 1 2026-01-02 ",
		"Take *.tar and _what_ is in it, and C:\\etemp.\n.PP\n\\&.netrc is read.\n",
		".TP\n\\fB\\&.tar\\fR\na \\(aqfile\\(aq\n.PP\nThe end.\n",
		".TP\n\\fB\\-\\-quiet\\fR\nSay nothing\n",
		".TP\n\\fB\\-\\-to\\fR \\fIDIR\\fR\nWrite to this. It is made.\n",
		".TP\n\\fB\\-\\-image\\fR\\fI[=REFERENCE]\\fR\nTake the image\n",
		"carry \\(aqa\\(hab\\(aq \\(ga\\(ti/c\\(ga\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it lacks %q:\n%s", want, got)
		}
	}
}
