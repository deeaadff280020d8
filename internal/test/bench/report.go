//go:build linux

package main

import (
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// report is the content of docs/explanation/benchmarks.md.
type report struct {
	lines  []string
	failed []string
	points []point
}

// fact is a number, such as a size, of one program.
type fact struct {
	name  string
	value float64
	unit  string
}

// point is the time and the memory, in bytes, that a number of plugins takes.
type point struct {
	plugins                  int
	pull, verify             time.Duration
	pullMemory, verifyMemory int64
}

func (r *report) add(row, ours, beside, ratio string) {
	line := fmt.Sprintf("| %s | %s | %s | %s |", row, ours, beside, ratio)
	r.lines = append(r.lines, line)
	fmt.Println(line)
}

// fail notes in the report what could not be measured, and why.
func (r *report) fail(err error) {
	line := strings.SplitN(err.Error(), "\n", 2)[0]
	r.failed = append(r.failed, line)
	fmt.Fprintln(os.Stderr, err)
}

// compared adds a row for each side but the first, which is botkube-mirror, with the medians of both.
func (r *report) compared(row string, sides []*side) {
	said := func(s *side) string {
		text := fmt.Sprintf("%.3f s", s.median().Seconds())
		if s.memory > 0 {
			text += fmt.Sprintf(", %.0f MiB", float64(s.memory)/(1<<20))
		}
		return text
	}
	if len(sides) == 1 {
		r.add(row, said(sides[0]), "", "")
	}
	for _, s := range sides[1:] {
		r.add(row, said(sides[0]), s.name+": "+said(s), fmt.Sprintf("%.2f", sides[0].median().Seconds()/s.median().Seconds()))
	}
}

// facts adds a row for each number but the first, which is botkube-mirror's, with both numbers.
func (r *report) facts(row string, all []fact) {
	said := func(f fact) string { return strings.TrimSpace(fmt.Sprintf("%.4g %s", f.value, f.unit)) }
	if len(all) == 1 {
		r.add(row, said(all[0]), "", "")
	}
	for _, f := range all[1:] {
		r.add(row, said(all[0]), f.name+": "+said(f), fmt.Sprintf("%.2f", all[0].value/f.value))
	}
}

const page = `# Benchmarks

After this page, you know how fast botkube-mirror is, and how much memory it takes, next to the
programs that you would use instead. Each time is the median of %d runs in one session, in which the
programs take turns. Only the pulls of 10 to 3000 plugins run once. Memory is the highest resident
size. Everything runs on loopback and on two processors. The files to read are in memory before each
run. To measure on your own machine, with nothing else running:

<!-- not run: it takes minutes, and an idle machine -->
` + "```console\n$ go run ./internal/test/bench\n```" + `

%s

| what | botkube-mirror | beside | ratio |
|---|---|---|---|
%s
`

// limits says what bounds the figures. The shares are of perf record, on the machine of the page.
const limits = `
## Where the time goes

Two thirds of the processor time of a pull go into inflate, which unpacks gzip. A fifth goes into
SHA-256, and the rest into copies in memory and the kernel. This holds for a pull to a directory, a
pull to a bundle, and unpack.

* Every archive is unpacked once, while it arrives. Nothing else shows that the archive is whole,
  and that it has the file that the agent starts. A lock does not show it, because a lock is made
  without the archives. So both processors are busy until the end.
* curl checks nothing. On loopback, inflate alone takes three to four times as long as curl's
  downloads. On two processors, a pull that unpacks cannot come closer to curl.
* With 30 ms before every answer, the downloads overlap with inflate. The pull ends when inflate
  ends, about as late as on loopback. More processors shorten this. More requests at a time do not.
* Inflate is that of ` + "`klauspost/compress`" + `. It is 1.5 times as fast as the standard library's. The
  [dependencies](../dependencies.md) say why there is no faster one.
* Most bytes in the archives of the modules are test data of compression libraries. The
  [dependencies](../dependencies.md#where-the-weight-is) have the sizes.
`

// write writes the page and its picture to a directory.
func (r *report) write(dir string, absent map[string]string, runs int) error {
	if dir == "-" {
		return nil
	}
	text := fmt.Sprintf(page, runs, machine(), strings.Join(r.lines, "\n"))
	if len(r.points) > 0 {
		text += "\nTime and memory of a pull to a directory and of its verification, by the number of plugins of 200\nKB each:\n\n" +
			"![time and memory by the number of plugins](benchmarks.svg)\n"
		if err := os.WriteFile(filepath.Join(dir, "benchmarks.svg"), []byte(plot(r.points)), 0o644); err != nil {
			return err
		}
	}
	text += limits
	if len(absent)+len(r.failed) > 0 {
		text += "\nNot measured:\n\n"
	}
	for _, name := range slices.Sorted(maps.Keys(absent)) {
		text += fmt.Sprintf("* beside %s: %s\n", name, absent[name])
	}
	for _, line := range r.failed {
		text += fmt.Sprintf("* %s\n", line)
	}
	return os.WriteFile(filepath.Join(dir, "benchmarks.md"), []byte(text), 0o644)
}

// machine says where it was measured.
func machine() string {
	model := runtime.GOARCH
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	var system unix.Utsname
	_ = unix.Uname(&system) // what it lacks is left out
	var memory unix.Sysinfo_t
	_ = unix.Sysinfo(&memory)
	commit, _ := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	return fmt.Sprintf("Measured on %s, %d processors, %.0f GiB of memory, Linux %s,\n%s, commit %s, %s.",
		model, runtime.NumCPU(), float64(memory.Totalram)*float64(memory.Unit)/(1<<30), unix.ByteSliceToString(system.Release[:]),
		runtime.Version(), strings.TrimSpace(string(commit)), time.Now().UTC().Format("2006-01-02"))
}

// plot draws time and memory by the number of plugins, both axes logarithmic.
func plot(points []point) string {
	const width, height, left, top = 340.0, 240.0, 60.0, 40.0
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" font-family="sans-serif" font-size="12">`+"\n", 2*(width+left)+20, height+top+50)
	out.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	panel := func(offset float64, title string, low, high float64, lines map[string]func(point) float64) {
		first, last := math.Log10(float64(points[0].plugins)), math.Log10(float64(points[len(points)-1].plugins))
		x := func(n int) float64 {
			return offset + left + (math.Log10(float64(n))-first)/max(last-first, 1e-9)*(width-20)
		}
		y := func(v float64) float64 {
			return top + height - (math.Log10(max(v, low))-math.Log10(low))/(math.Log10(high)-math.Log10(low))*height
		}
		fmt.Fprintf(&out, `<text x="%.0f" y="24" font-size="14">%s</text>`+"\n", offset+left, title)
		for v := low; v <= high*1.01; v *= 10 {
			fmt.Fprintf(&out, `<path d="M%.0f %.1fh%.0f" stroke="#ddd"/><text x="%.0f" y="%.1f" text-anchor="end">%g</text>`+"\n",
				offset+left, y(v), width-20, offset+left-6, y(v)+4, v)
		}
		for _, p := range points {
			fmt.Fprintf(&out, `<text x="%.0f" y="%.0f" text-anchor="middle">%d</text>`+"\n", x(p.plugins), top+height+18, p.plugins)
		}
		for i, name := range slices.Sorted(maps.Keys(lines)) {
			color := []string{"#0b62a4", "#c0392b"}[i%2]
			var path strings.Builder
			for _, p := range points {
				at := lines[name](p)
				fmt.Fprintf(&path, "%.1f,%.1f ", x(p.plugins), y(at))
				fmt.Fprintf(&out, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x(p.plugins), y(at), color)
			}
			fmt.Fprintf(&out, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/><text x="%.0f" y="%.0f" fill="%[2]s">%[5]s</text>`+"\n",
				strings.TrimSpace(path.String()), color, offset+left+10, top+16+float64(i)*16, name)
		}
		fmt.Fprintf(&out, `<text x="%.0f" y="%.0f" text-anchor="middle">plugins</text>`+"\n", offset+left+width/2, top+height+38)
	}
	mebibytes := func(n int64) float64 { return float64(n) / (1 << 20) }
	panel(0, "time in seconds", 0.01, 100, map[string]func(point) float64{
		"pull": func(p point) float64 { return p.pull.Seconds() }, "verify": func(p point) float64 { return p.verify.Seconds() },
	})
	panel(width+left, "peak memory in MiB", 1, 1000, map[string]func(point) float64{
		"pull": func(p point) float64 { return mebibytes(p.pullMemory) }, "verify": func(p point) float64 { return mebibytes(p.verifyMemory) },
	})
	out.WriteString("</svg>\n")
	return out.String()
}
