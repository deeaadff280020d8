package cmd

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestLayout(t *testing.T) {
	const url = "https://plugins.example.com/a/path/that/is/too/long/for/a/terminal/of/80/columns/executor_kubectl_linux_amd64"
	out := &layout{width: 60, colour: true}
	out.verdict(good, "./plugins", "complete", "2 plugins for linux/amd64", "", "all from the store\x01")
	out.table([]column{word("PLUGIN"), word("TAG"), number("SIZE"), word("DIGEST")}, [][]string{
		{"botkube/kubectl", "", "9.1 MiB", "sha256:" + strings.Repeat("a", 30)},
		{"böt/日本", "", "12 B", ""},
	})
	out.table([]column{word("NAME"), prose("WHY")}, [][]string{{"helm", "the index names a file that a server outside of the mirror has"}})
	out.table([]column{word("EMPTY")}, [][]string{{""}})
	out.title("Files without a checksum:")
	out.table([]column{word("URL"), number("SIZE")}, [][]string{{url, "1 B"}})
	out.text("Unverified:")
	out.item("%s", url)
	out.note("a\nb %s", "::error:: and ##[group] are text, and this is long enough to be wrapped")
	out.note("second")
	out.next("install it", "helm upgrade --install botkube oci://registry.example.com/charts --values 'my values.yaml' --wait")
	want := "./plugins: \x1b[1;32mcomplete\x1b[0m, 2 plugins for linux/amd64, all from the\n  store\\x01" + `

PLUGIN              SIZE
botkube/kubectl  9.1 MiB
  sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
böt/日本            12 B

NAME  WHY
helm  the index names a file that a server outside of the
      mirror has

Files without a checksum:
URL
  SIZE
` + url + `
  1 B

Unverified:
  ` + url + `

note: a; b ::error:: and \x23#[group] are text, and this is
  long enough to be wrapped
note: second

next: install it
  helm upgrade --install botkube \
    oci://registry.example.com/charts \
    --values 'my values.yaml' --wait
`
	if got := out.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// A CI system takes no line for a command, not even one that begins where another is wrapped.
func TestLayoutGivesNoCommands(t *testing.T) {
	out := &layout{width: 30}
	out.text("%s", "a name that ends a line here: ::error::no")
	if got := out.String(); strings.Contains(got, "\n::") || strings.Contains(got, "\n  ::") {
		t.Errorf("got %s", got)
	}
}

func TestLayoutWithoutTerminal(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	env := &Environment{Getenv: func(string) string { return "" }}
	for _, w := range []interface{ Write([]byte) (int, error) }{file, &bytes.Buffer{}, &interruptible{to: file}} {
		if l := env.layoutFor(w); l.width != 80 || l.colour {
			t.Errorf("%T: %d columns, colour %t", w, l.width, l.colour)
		}
	}
}
