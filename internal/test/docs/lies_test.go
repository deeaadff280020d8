//go:build unix

package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// problemsOf checks and runs a page of the README's, and returns what is wrong with it.
func problemsOf(t *testing.T, text string, update bool) (problems, after string) {
	t.Helper()
	root := t.TempDir()
	commands := filepath.Join(root, "docs", "reference", "commands")
	check(os.MkdirAll(commands, 0o755))
	for file, text := range map[string]string{
		filepath.Join(root, "docs", "other.md"): "# Other `page`\n\n## <a id=\"d1\"></a>The way\n\n## The way\n",
		filepath.Join(commands, "flags.md"):     "| `--lock` | `lock` | `LOCK` | [list](list.md) |\n| `--quiet` | `quiet` | `QUIET` | [every command](README.md) |\n",
		filepath.Join(commands, "list.md"):      "# list\n",
		filepath.Join(commands, "version.md"):   "# version\n",
	} {
		check(os.WriteFile(file, []byte(text), 0o644))
	}
	file := filepath.Join(root, "README.md")
	check(os.WriteFile(file, []byte(text), 0o644))
	check(os.Mkdir(filepath.Join(root, ".github"), 0o755))
	l, err := readLibrary(root)
	check(err)
	p := l.pages["README.md"]
	p.run(t, root, update)
	p.checkForm()
	l.checkLinks(p)
	l.checkFlags(p, l.flags())
	return strings.Join(p.problems, "\n"), string(must(os.ReadFile(file)))
}

// TestLies wants pages that are wrong to fail, with the place.
func TestLies(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ page, want string }{
		"another output":      {"```console\n$ echo one; echo 2\none\ntwo\n```", "README.md:2: the page shows another output than the command has:\nline 2 is shown as: two\n            but is: 2"},
		"less output":         {"```console\n$ echo one\n```", "README.md:2: the page shows another output"},
		"more output":         {"```console\n$ true\none\n```", "README.md:2: the page shows another output"},
		"dots too early":      {"```console\n$ printf '%s\\n' 1 2 3\n…\n2\n```", "README.md:2: the page shows another output"},
		"a failing command":   {"```console\n$ true\n$ sh -c 'echo no; exit 3'\nno\n```", "README.md:3: exit code 3, not 0:\nno"},
		"another exit code":   {"<!-- exit: 4 -->\n```console\n$ sh -c 'exit 3'\n```", "README.md:3: exit code 3, not 4"},
		"a hidden failure":    {"<!-- run: false -->", "README.md:1: exit code 1, not 0"},
		"the end of a shell":  {"```console\n$ exit\n$ echo more\nmore\n```", "README.md:2: the shell ended"},
		"a server that fails": {"<!-- background -->\n```console\n$ false\n```", "README.md:3: exit code 1, not 0"},
		"a word of the error": {"<!-- exit: 2 -->\n```console\n$ botkube-mirror pull\n```", "README.md:3: the page shows another output"},
		"an unknown host":     {"```console\n$ botkube-mirror pull --retries 0 --repository a=https://nowhere.example.com/plugins-index.yaml -o plugins\n```", "README.md:2: exit code 3, not 0"},

		"an unknown comment":         {"<!-- nut run: cluster -->\n```console\n$ false\n```", `README.md:1: unknown comment "nut run"`},
		"no reason":                  {"<!-- not run: -->\n```console\n$ false\n```", "README.md:1: <!-- not run: -->: this comment needs a value"},
		"a comment without a block":  {"<!-- not run: cluster -->\ntext\n", "README.md:1: no block of code follows"},
		"a comment at the end":       {"<!-- exit: 1 -->\n", "README.md:1: no block of code follows"},
		"an exit code that is none":  {"<!-- exit: one -->\n```console\n$ true\n```", `README.md:1: "one" is no exit code`},
		"a block of sh":              {"```sh\nls\n```", "README.md:1: ```sh is not run: use ```console"},
		"a block in no language":     {"```\nls\n```", "README.md:1: this block has no language"},
		"indented code":              {"Run:\n\n    ls\n", "README.md:3: indented code"},
		"indented code in a list":    {"1. Run:\n\n       ls\n", "README.md:3: indented code"},
		"indented code after a list": {"1. Run\n\nText:\n\n    ls\n", "README.md:5: indented code"},
		"an output alone":            {"```console\nno command\n```", "README.md:1: a block ```console begins with a command"},
		"a block without an end":     {"```console\n$ ls\n", "README.md:1: this block does not end"},
		"a backslash before output":  {"```console\n$ echo \\\none\n```", `README.md:2: the command ends in \`},
		"two in the background":      {"<!-- background -->\n```console\n$ true\n$ true\n```", "README.md:2: a block that runs in the background has one command"},
		"a file of commands":         {"<!-- file: x -->\n```console\n$ true\n```", "README.md:2: a file is no block ```console"},
		"needs without a command":    {"<!-- needs: git -->\n```yaml\na: b\n```", "README.md:2: only blocks ```console are run"},

		"a dead link":          {"[x](docs/gone.md)", "README.md:1: there is no docs/gone.md"},
		"a dead picture":       {`<img src="docs/gone.svg">`, "README.md:1: there is no docs/gone.svg"},
		"a dead reference":     {"[x][y]\n\n[y]: gone.md", "README.md:3: there is no gone.md"},
		"a dead anchor":        {"[x](docs/other.md#the-way-2)", "README.md:1: docs/other.md has no heading #the-way-2"},
		"a dead anchor here":   {"# Way\n\n[x](#Way)", "README.md:3: README.md has no heading #Way"},
		"a dead absolute link": {"[x](" + repository + "docs/gone.md)", "README.md:1: there is no docs/gone.md"},
		"a link from the root": {"[x](/docs/other.md)", "README.md:1: /docs/other.md: links are relative"},
		"a link out of here":   {"[x](../other.md)", "README.md:1: there is no ../other.md"},
		"no such command":      {"`botkube-mirror lsit --lock x`", "README.md:1: there is no command lsit"},
		"no such flag":         {"`botkube-mirror list --lokc x`", "README.md:1: list has no flag --lokc"},
		"no flag of that":      {"`botkube-mirror version --lock x`", "README.md:1: version has no flag --lock"},
		"no flag of any":       {"`--lokc x`", "README.md:1: no command has the flag --lokc"},
		"no flag, not run":     {"<!-- not run: it waits -->\n```console\n$ botkube-mirror list \\\n> --lokc x\n```", "README.md:2: list has no flag --lokc"},
		"a long line":          {strings.Repeat("word ", 21), "README.md:1: the line has 105 columns, more than 100"},
		"a long page":          {strings.Repeat("a\n", 201), "README.md:201: the page has 201 lines"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if problems, _ := problemsOf(t, tt.page, false); !strings.HasPrefix(problems, tt.want) {
				t.Errorf("the problems are:\n%s\nnot:\n%s", problems, tt.want)
			}
		})
	}
}

// truth is a page with nothing wrong.
const truth = "# A page\n" + `
See [another](docs/other.md#the-way-1), [one](docs/other.md#the-way), [again](docs/other.md#d1), [this](#a-page), <https://example.com> and [that](` + repository + `docs/other.md#other-page).
Run ` + "`botkube-mirror list --lock x --quiet | skopeo --all`, or with `--help`" + `.

<!-- This remark is for people. -->
<!-- run: export NAME=you -->
<!-- file: config/it.yaml -->
` + "```yaml" + `
listen: localhost:8080
` + "```" + `

1. It goes on in a list:

   ` + "```console" + `
   $ cat config/it.yaml | \
   > cat
   listen: localhost:8080
   $ cat <<END
   > a
   >
   > b
   > END
   a

   b
   $ echo $NAME in $PWD
   you in /home/you/mirror
   $ printf '%s\n' 1 2 3 4; echo 5 >&2
   1
   …
   4
   5
   $ echo took 1.5s at 10.5 MiB/s on 2026-01-02
   took 12ms at 3 B/s on 2030-03-04
   $ sh -c 'exit 4'
   $ echo $?
   4
   $ touch /media/usb/x && ls -d /media/usb/*
   /media/usb/x
   $ go run . list --repository x=https://plugins.example.com/plugins-index.yaml --format json | head -1
   {
   ` + "```" + `

   A paragraph of the list.

<!-- exit: 1 -->
` + "```console" + `
$ false
` + "```" + `

<!-- not run: it needs a cluster -->
` + "```console" + `
$ kubectl get pods
` + "```" + `

<!-- background -->
` + "```console" + `
$ sh -c 'echo ready; exec sleep 1000'
ready
` + "```" + `
`

// TestTruth wants a page that is right to pass, and to stay as it is when outputs are written anew.
func TestTruth(t *testing.T) {
	t.Parallel()
	for _, update := range []bool{false, true}[:tier.Pick(1, 2)] {
		if problems, after := problemsOf(t, truth, update); problems != "" || after != truth {
			t.Errorf("update %t: %s\n%s", update, problems, after)
		}
	}
}

// TestUpdate wants outputs that are wrong to be replaced, and no others.
func TestUpdate(t *testing.T) {
	t.Parallel()
	page := "- It\n\n  ```console\n  $ echo one\n  $ printf '2\\n\\n3'\n  1\n  2\n  $ echo a b\n  …\n  ```\n"
	want := "- It\n\n  ```console\n  $ echo one\n  one\n  $ printf '2\\n\\n3'\n  2\n\n  3\n  $ echo a b\n  …\n  ```\n"
	if problems, after := problemsOf(t, page, true); problems != "" || after != want {
		t.Errorf("%s\n%s", problems, after)
	}
}

// TestUpdatedDigests wants a digest that took the place of another one to do so in commands, too.
func TestUpdatedDigests(t *testing.T) {
	t.Parallel()
	old, now := "sha256:"+strings.Repeat("a", 64), "sha256:"+strings.Repeat("b", 64)
	page := "```console\n$ echo pushed sha256:$(printf 'b%.0s' {1..64}) in 2s\npushed OLD in 3s\n$ echo use OLD\nuse OLD\n```\n"
	problems, after := problemsOf(t, strings.ReplaceAll(page, "OLD", old), true)
	want := strings.ReplaceAll(strings.Replace(page, "in 3s", "in 2s", 1), "OLD", now)
	if problems != "" || after != want {
		t.Errorf("%s\n%s", problems, after)
	}
}

// TestNeeds wants a block whose program is missing to be left out, but not where everything must be
// tried.
func TestNeeds(t *testing.T) {
	t.Parallel()
	problems, _ := problemsOf(t, "<!-- needs: git no-such-program -->\n```console\n$ no-such-program\n```\n", false)
	if want := tier.Thorough(); strings.Contains(problems, "there is no no-such-program") != want || !want && problems != "" {
		t.Error(problems)
	}
}
