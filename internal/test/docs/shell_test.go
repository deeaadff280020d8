//go:build unix

package docs

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// pageTimeout bounds the time of a page whose commands hang.
const pageTimeout = 3 * time.Minute

// run runs the commands of a page, and reports what is not as the page shows it. With update, the page
// gets the outputs that there are.
func (p *page) run(t testing.TB, repository string, update bool) {
	steps := p.runnable(t)
	if len(steps) == 0 || len(p.problems) > 0 {
		return
	}
	w := newWorld(t, repository)
	outputs := w.execute(p, steps, update)
	type change struct {
		step  *step
		lines []string
	}
	var changes []change
	for i, s := range steps {
		if i >= len(outputs) {
			p.problem(s.line, "the shell ended before this command")
			break
		}
		out := outputs[i]
		if out.code < 0 {
			p.problem(s.line, "the shell ended, or the command hung:\n%s", w.pageText(out.text))
			break
		}
		if s.exit != "" && strconv.Itoa(out.code) != s.exit {
			p.problem(s.line, "exit code %d, not %s:\n%s", out.code, s.exit, w.pageText(out.text))
			break
		}
		if s.hidden || s.command == "" {
			continue
		}
		shown, actual := p.shown(s), lines(w.pageText(out.text))
		if !slices.ContainsFunc(shown, ofOneFile.MatchString) {
			actual = slices.DeleteFunc(actual, ofOneFile.MatchString)
		}
		if !match(shown, actual) {
			if update {
				changes = append(changes, change{s, actual})
				continue
			}
			p.problem(s.line, "the page shows another output than the command has:\n%s", difference(shown, actual))
		}
	}
	slices.Reverse(changes)
	renamed := map[string]string{}
	for _, c := range changes {
		findRenamed(renamed, p.shown(c.step), c.lines)
		for i, line := range c.lines {
			c.lines[i] = strings.TrimRight(c.step.block.indent+line, " ")
		}
		p.lines = slices.Replace(p.lines, c.step.shown, c.step.shownEnd, c.lines...)
	}
	if len(changes) > 0 {
		text := digest.ReplaceAllStringFunc(strings.Join(p.lines, "\n")+"\n", func(d string) string { return cmp.Or(renamed[d], d) })
		check(os.WriteFile(filepath.Join(repository, filepath.FromSlash(p.name)), []byte(text), 0o644))
		problems := p.problems
		*p = *parse(p.name, text)
		p.problems = append(problems, p.problems...)
	}
}

var digest = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// findRenamed notes the digests that took the place of others in lines that are the same otherwise:
// commands that follow may have them.
func findRenamed(renamed map[string]string, old, now []string) {
	for _, before := range old {
		for _, after := range now {
			if digest.ReplaceAllString(normal(before), "") != digest.ReplaceAllString(normal(after), "") {
				continue
			}
			to := digest.FindAllString(after, -1)
			for i, from := range digest.FindAllString(before, -1) {
				renamed[from] = to[i]
			}
			break
		}
	}
}

// runnable returns the steps of a page that this machine has the programs for.
func (p *page) runnable(t testing.TB) (steps []*step) {
	for _, s := range p.steps {
		missing := ""
		if s.block != nil {
			for _, program := range s.block.marks.needs {
				if _, err := exec.LookPath(program); err != nil {
					missing = program
				}
			}
		}
		switch {
		case missing == "":
			steps = append(steps, s)
		case tier.Thorough():
			p.problem(s.line, "there is no %s on this machine", missing)
		default:
			t.Logf("%s:%d: left out: there is no %s on this machine", p.name, s.line+1, missing)
		}
	}
	return steps
}

// prelude has the functions of the script. Each step ends with a mark: its number and exit code.
const prelude = `exec 2>&1 </dev/null
umask 022
__end() {
	local code=$?
	printf '\001%s %s\001' "$1" "$code"
	[ -z "$2" ] || [ "$code" = "$2" ] || exit 1
	return "$code"
}
# __await FILE LINES waits until a command in the background has written so many lines (0: until it has
# written no more for a second), or has ended.
__await() {
	local pid=$! size=0 quiet=0 tries=0
	while kill -0 "$pid" && [ "$tries" -lt 600 ]; do
		if [ "$2" -gt 0 ]; then
			[ "$(wc -l <"$1")" -lt "$2" ] || break
		elif [ "$(wc -c <"$1")" -gt "$size" ]; then
			size=$(wc -c <"$1") quiet=0
		else
			quiet=$((quiet + 1))
			[ "$quiet" -lt 20 ] || [ "$size" -eq 0 ] || break
		fi
		tries=$((tries + 1))
		sleep 0.05
	done 2>/dev/null
	cat "$1"
	kill -0 "$pid" 2>/dev/null || wait "$pid"
}
`

// output is what a step wrote, and its exit code, or -1 where it did not end.
type output struct {
	text string
	code int
}

func (w *world) execute(p *page, steps []*step, update bool) (outputs []output) {
	script := bytes.NewBufferString(prelude)
	for i, s := range steps {
		switch {
		case s.command == "": // a file
			source := w.write(fmt.Sprintf("test/%d.file", i), []byte(w.realText(p.content(s.block))), 0o644)
			fmt.Fprintf(script, "mkdir -p \"$(dirname '%s')\" && cp '%s' '%s'\n", s.block.marks.file, source, s.block.marks.file)
		case s.block != nil && s.block.marks.background:
			file, wanted := w.write(fmt.Sprintf("test/%d.out", i), nil, 0o644), 0
			for _, line := range p.shown(s) {
				if line != ellipsis {
					wanted++
				}
			}
			if update {
				wanted = 0
			}
			fmt.Fprintf(script, "{ %s\n} >'%s' 2>&1 &\n__await '%s' %d\n", w.realText(s.command), file, file, wanted)
		default:
			fmt.Fprintf(script, "%s\n", w.realText(s.command))
		}
		fmt.Fprintf(script, "__end %d '%s'\n", i, s.exit)
	}
	ctx, cancel := context.WithTimeout(context.Background(), pageTimeout)
	defer cancel()
	bash := exec.CommandContext(ctx, "bash", "--noprofile", "--norc", w.write("test/page.sh", script.Bytes(), 0o644))
	bash.Dir, bash.Env = w.real(work), append(w.env, "PWD="+w.real(work))
	bash.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	end := func() error { return syscall.Kill(-bash.Process.Pid, syscall.SIGKILL) }
	bash.Cancel, bash.WaitDelay = end, 5*time.Second
	out, err := bash.Output()
	if bash.Process != nil {
		_ = end() // what runs in the background
	}
	rest := string(out)
	for i := range steps {
		m := mark.FindStringSubmatchIndex(rest)
		if m == nil || rest[m[2]:m[3]] != strconv.Itoa(i) {
			return append(outputs, output{fmt.Sprintf("%s(%v)", rest, err), -1})
		}
		code, _ := strconv.Atoi(rest[m[4]:m[5]])
		outputs = append(outputs, output{rest[:m[0]], code})
		rest = rest[m[1]:]
	}
	return outputs
}

var (
	// ofOneFile matches lines that a terminal does not show: files are transferred in any order.
	ofOneFile = regexp.MustCompile(`^(fetched|reused|uploaded|resumed) .*B\)$`)
	mark      = regexp.MustCompile("\x01([0-9]+) ([0-9]+)\x01")
	// localPort matches a port of this machine, absolute a directory for which the world has its own.
	localPort = regexp.MustCompile(`(\blocalhost|\b127\.0\.0\.1|\b0\.0\.0\.0|\[::1?\]|[\s='"]):([0-9]{4,5})\b`)
	absolute  = regexp.MustCompile(`(^|[\s='":,(])(/(?:media/usb|mnt|srv|home/you|etc/botkube-mirror)\b)`)
)

// proxyName stands in pages for the proxy of the world.
const proxyName = "proxy.example.com:3128"

// realText turns what a page has into what is run: ports that are free, and directories of the world.
func (w *world) realText(text string) string {
	text = strings.ReplaceAll(text, proxyName, w.proxy)
	text = localPort.ReplaceAllStringFunc(text, func(s string) string {
		at := strings.LastIndex(s, ":")
		return s[:at+1] + w.port(s[at+1:])
	})
	return absolute.ReplaceAllStringFunc(text, func(s string) string {
		at := strings.Index(s, "/")
		return s[:at] + w.real(s[at:])
	})
}

// pageText turns it back.
func (w *world) pageText(text string) string {
	text = strings.ReplaceAll(text, w.proxy, proxyName)
	for _, p := range w.places {
		text = strings.ReplaceAll(text, p.real, p.shown)
	}
	text = strings.ReplaceAll(text, w.root, "")
	for _, shown := range slices.Sorted(maps.Keys(w.ports)) {
		text = regexp.MustCompile(`:`+w.ports[shown]+`\b`).ReplaceAllString(text, ":"+shown)
	}
	return text
}
