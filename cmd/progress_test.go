package cmd

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
	"github.com/botkube-mirror/botkube-mirror/internal/remote/transfer"
)

// shows observes a run in simulated time, and returns what was printed.
func shows(t *testing.T, g *global, variables string, run func(p *progress)) string {
	t.Helper()
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		g.env = &Environment{Stderr: &out, Getenv: func(name string) string {
			_, value, _ := strings.Cut(" "+variables, " "+name+"=")
			value, _, _ = strings.Cut(value, " ")
			return value
		}}
		p := g.progress()
		time.Sleep(time.Millisecond) // the clock strikes after what happens at a full second
		run(p)
		p.close()
		p.close()
		p.observe(mirror.Event{Kind: mirror.EventNote, Detail: "is told no more"})
	})
	return out.String()
}

func move(p *progress, subject string, bytes int64, seconds int) {
	for range seconds {
		p.observe(mirror.Event{Kind: mirror.EventProgress, Subject: subject, Bytes: bytes})
		time.Sleep(time.Second)
	}
}

const (
	one = "https://example.com/executor_one_linux_amd64.tar.gz"
	two = "https://example.com/source_two_linux_amd64.tar.gz?a=b"
)

// download is a run that resolves for 12 seconds, downloads two files, and writes a bundle. One of
// the files stalls for a while.
func download(p *progress) {
	asked := p.traffic.Ask("index.example.com")
	time.Sleep(12 * time.Second)
	asked()
	p.observe(mirror.Event{Kind: mirror.EventPlanned, Activity: mirror.Downloading, Count: 3, Total: 300 << 20})
	p.observe(mirror.Event{Kind: mirror.EventReused, Subject: "https://example.com/there", Bytes: 100 << 20})
	p.observe(mirror.Event{Kind: mirror.EventStarted, Subject: one, Total: 100 << 20})
	move(p, one, 10<<20, 10)
	p.observe(mirror.Event{Kind: mirror.EventFetched, Subject: one, Bytes: 100 << 20})
	asked = p.traffic.Ask("example.com")
	p.observe(mirror.Event{Kind: mirror.EventStarted, Subject: two, Total: 100 << 20})
	move(p, two, 5<<20, 15)
	time.Sleep(31 * time.Second)
	asked()
	p.observe(mirror.Event{Kind: mirror.EventWarning, Detail: "something is odd"})
	move(p, two, 5<<20, 5)
	p.observe(mirror.Event{Kind: mirror.EventFetched, Subject: two, Bytes: 100 << 20})
	p.observe(mirror.Event{Kind: mirror.EventWriting, Activity: mirror.Writing, Subject: "/media/usb/bundle.tar", Bytes: 300 << 20, Total: 300 << 20})
	move(p, "/media/usb/bundle.tar", 20<<20, 15)
	time.Sleep(15 * time.Second)
	p.observe(mirror.Event{Kind: mirror.EventCompleted, Subject: "/media/usb/bundle.tar"})
}

func TestLinesWithoutTerminal(t *testing.T) {
	got := shows(t, &global{}, "", download)
	want := `nothing moved for 10s: waiting for index.example.com
reused https://example.com/there (100 MiB)
downloading: 180 MiB of 300 MiB (60%), 1 of 3 files, 10 MiB/s, 12s left
fetched https://example.com/executor_one_linux_amd64.tar.gz (100 MiB)
downloading: 240 MiB of 300 MiB (80%), 2 of 3 files, 6.0 MiB/s, 10s left
downloading: 275 MiB of 300 MiB (91%), 2 of 3 files, 3.5 MiB/s, 7s left
nothing moved for 10s: waiting for example.com (downloading: 275 MiB of 300 MiB, 91%)
nothing moved for 20s: waiting for example.com (downloading: 275 MiB of 300 MiB, 91%)
warning: something is odd
downloading: 280 MiB of 300 MiB (93%), 2 of 3 files, 512 KiB/s, 40s left
fetched https://example.com/source_two_linux_amd64.tar.gz?a=b (100 MiB)
downloaded 2 files, 200 MiB in 1m1s, 3.3 MiB/s; 1 file (100 MiB) there before
writing /media/usb/bundle.tar (300 MiB)
writing bundle.tar: 120 MiB of 300 MiB (40%), 20 MiB/s, 9s left
writing bundle.tar: 300 MiB of 300 MiB (100%), 18 MiB/s
nothing moved for 10s: still writing bundle.tar
wrote bundle.tar: 300 MiB in 30s, 10 MiB/s
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestProgressIsSilenced(t *testing.T) {
	for name, g := range map[string]*global{"--quiet": {quiet: true}, "--no-progress": {noProgress: true}} {
		got := shows(t, g, "GITHUB_ACTIONS=true", download)
		for _, unwanted := range []string{"nothing moved", "downloading", "downloaded", "::"} {
			if strings.Contains(got, unwanted) {
				t.Errorf("%s: %s", name, got)
			}
		}
		if !strings.Contains(got, "warning: something is odd\n") {
			t.Errorf("%s: there is no warning: %s", name, got)
		}
	}
}

func TestShortRunsAreNotFlooded(t *testing.T) {
	got := shows(t, &global{}, "", func(p *progress) {
		p.observe(mirror.Event{Kind: mirror.EventPlanned, Activity: mirror.Downloading, Count: 1, Total: 9})
		move(p, one, 1, 9)
		p.observe(mirror.Event{Kind: mirror.EventFetched, Subject: one, Bytes: 9})
	})
	if want := "fetched " + one + " (9 B)\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWhoIsWaitedFor(t *testing.T) {
	got := shows(t, &global{}, "", func(p *progress) {
		p.retrying(one, errPlain("503 Service Unavailable"), 25*time.Second)
		time.Sleep(30 * time.Second)
		p.observe(mirror.Event{Kind: mirror.EventWaiting, Subject: "/srv/plugins", Detail: "another run writes it"})
		time.Sleep(3 * time.Minute)
	})
	want := `retrying ` + one + ` in 25s: 503 Service Unavailable
nothing moved for 10s: trying one_linux_amd64 again in 15s
nothing moved for 20s: trying one_linux_amd64 again in 5s
waiting for /srv/plugins: another run writes it
nothing moved for 10s: waiting for plugins (another run writes it)
nothing moved for 20s: waiting for plugins (another run writes it)
nothing moved for 40s: waiting for plugins (another run writes it)
nothing moved for 1m20s: waiting for plugins (another run writes it)
nothing moved for 2m20s: waiting for plugins (another run writes it)
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

type errPlain string

func (e errPlain) Error() string { return string(e) }

func TestProgressAsJSON(t *testing.T) {
	got := shows(t, &global{logFormat: "json"}, "GITHUB_ACTIONS=true", download)
	var told []string
	for line := range strings.Lines(got) {
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		switch event["msg"] {
		case "planned", "progress", "idle", "total":
			delete(event, "time")
			delete(event, "level")
			data, _ := json.Marshal(event)
			told = append(told, string(data))
		}
	}
	want := `{"activity":"preparing","bytes":0,"detail":"waiting for index.example.com","msg":"idle","seconds":10,"waitingFor":["index.example.com"]}
{"activity":"downloading","artifacts":3,"bytes":314572800,"msg":"planned"}
{"activity":"downloading","bytes":188743680,"bytesPerSecond":10485760,"files":1,"msg":"progress","secondsLeft":12,"totalBytes":314572800,"totalFiles":3}
{"activity":"downloading","bytes":251658240,"bytesPerSecond":6291456,"files":2,"msg":"progress","secondsLeft":10,"totalBytes":314572800,"totalFiles":3}
`
	if !strings.HasPrefix(strings.Join(told, "\n"), want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(told, "\n"), want)
	}
	if last := told[len(told)-1]; !strings.Contains(last, `"activity":"writing"`) || !strings.Contains(last, `"msg":"total"`) {
		t.Errorf("the last event is %s", last)
	}
}

func TestFoldedSections(t *testing.T) {
	for variables, want := range map[string]string{
		"GITHUB_ACTIONS=true": `::group::botkube-mirror: downloading
reused https://example.com/there (3 B)
::endgroup::
warning: odd: 100%
\x3a:error::not a command
::warning title=botkube-mirror::odd: 100%25%0A\x3a:error::not a command
::group::botkube-mirror: downloading
fetched \x23#[group]a (2 B)
::endgroup::
`,
		"GITLAB_CI=true": "\x1b[0Ksection_start:946684800:botkube_mirror_946684800_1[collapsed=true]\r\x1b[0Kbotkube-mirror: downloading\n" +
			"reused https://example.com/there (3 B)\n" +
			"\x1b[0Ksection_end:946684800:botkube_mirror_946684800_1\r\x1b[0K\n" +
			"warning: odd: 100%\n\\x3a:error::not a command\n" +
			"\x1b[0Ksection_start:946684800:botkube_mirror_946684800_2[collapsed=true]\r\x1b[0Kbotkube-mirror: downloading\n" +
			"fetched \\x23#[group]a (2 B)\n" +
			"\x1b[0Ksection_end:946684800:botkube_mirror_946684800_2\r\x1b[0K\n",
		"": "reused https://example.com/there (3 B)\nwarning: odd: 100%\n\\x3a:error::not a command\nfetched \\x23#[group]a (2 B)\n",
	} {
		got := shows(t, &global{}, variables, func(p *progress) {
			p.observe(mirror.Event{Kind: mirror.EventPlanned, Activity: mirror.Downloading, Count: 2, Total: 5})
			p.observe(mirror.Event{Kind: mirror.EventReused, Subject: "https://example.com/there", Bytes: 3})
			p.observe(mirror.Event{Kind: mirror.EventWarning, Detail: "odd: 100%\n::error::not a command"})
			p.observe(mirror.Event{Kind: mirror.EventFetched, Subject: "##[group]a", Bytes: 2})
		})
		if got != want {
			t.Errorf("%s: got\n%q\nwant\n%q", variables, got, want)
		}
	}
}

func TestErrorsAreAnnotated(t *testing.T) {
	var out bytes.Buffer
	g := &global{env: &Environment{Stderr: &out, Getenv: func(name string) string { return map[string]string{"GITHUB_ACTIONS": "true"}[name] }}}
	err := fault.New(fault.Upstream, "the server says:\n  ::set-output name=a::b\n##[add-mask]c, 50%%").WithHint("ask it")
	if code := g.report(t.Context(), err); code != int(fault.Upstream) {
		t.Errorf("exit code %d", code)
	}
	want := `botkube-mirror: the server says:
  \x3a:set-output name=a::b
\x23#[add-mask]c, 50%
hint: ask it
::error title=botkube-mirror::the server says:%0A  \x3a:set-output name=a::b%0A\x23#[add-mask]c, 50%25%0Ahint: ask it
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestJSONHoldsNoCommands(t *testing.T) {
	var out bytes.Buffer
	g := &global{format: "json"}
	result := map[string]string{"name": "##[group] ###vso[task] ## [a]"}
	if err := g.printTo(&out, result, nil); err != nil {
		t.Fatal(err)
	}
	var read map[string]string
	if err := json.Unmarshal(out.Bytes(), &read); err != nil || read["name"] != result["name"] || strings.Contains(out.String(), "##[") || strings.Contains(out.String(), "##vso[") {
		t.Errorf("%s, %v", out.String(), err)
	}
}

func TestBarFitsTheTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(&transfer.Traffic{})
		m.begin(mirror.Event{Kind: mirror.EventPlanned, Activity: mirror.Downloading, Count: 5, Total: 300 << 20})
		for _, name := range []string{"executor_kubectl_v1.14.0_linux_amd64.tar.gz", "source_prometheus-alerts_v1.14.0_windows_amd64.tar.gz", "helm.zip"} {
			m.observe(mirror.Event{Kind: mirror.EventStarted, Subject: "https://example.com/v1.14.0/" + name, Total: -1})
		}
		for range 5 {
			m.tick()
			m.observe(mirror.Event{Kind: mirror.EventProgress, Subject: "https://example.com/v1.14.0/executor_kubectl_v1.14.0_linux_amd64.tar.gz", Bytes: 3 << 20})
			time.Sleep(time.Second)
		}
		m.tick()
		for columns, want := range map[int]string{
			leastColumns: "1m35s left",
			40:           "3.0 MiB/s, 1m35s left",
			60:           "3.0 MiB/s, 1m35s left: kubectl_v1… +2",
			80:           "15 MiB of 300 MiB, 3.0 MiB/s, 1m35s left: kubectl_… +2",
			100:          "15 MiB of 300 MiB, 3.0 MiB/s, 1m35s left: kubectl_v1.14.0_linux_amd… +2",
			120:          "downloading 15 MiB of 300 MiB, 3.0 MiB/s, 1m35s left: kubectl_v1.14.0_linux_amd64 +2",
			200:          "downloading 15 MiB of 300 MiB, 3.0 MiB/s, 1m35s left, 0 of 5 files: kubectl_v1.14.0_linux_amd64, helm, prometheus-alerts_v1.14.0_win…",
		} {
			got := barText(m, columns)
			if got != want {
				t.Errorf("%d columns: %q, want %q", columns, got, want)
			}
			if len([]rune(got))+besideBar+columns/leastBar > columns {
				t.Errorf("%d columns: %q is too long", columns, got)
			}
		}
		defer m.traffic.Ask("example.com")()
		time.Sleep(14 * time.Second)
		for columns, want := range map[int]string{
			40: "nothing moved for 14s",
			50: "waiting for example.com",
			80: "waiting for example.com, nothing moved for 14s",
		} {
			if got := barText(m, columns); got != want {
				t.Errorf("%d columns: %q, want %q", columns, got, want)
			}
		}
	})
}

func TestBarIsDrawn(t *testing.T) {
	got := shows(t, &global{}, "", func(p *progress) {
		p.mu.Lock()
		p.bar, p.lines = &bar{out: p.out}, false
		p.mu.Unlock()
		download(p)
	})
	got = strings.NewReplacer("\x1b[0K", "", "\x1b[2K", "", "\x1b[J", "").Replace(got)
	widest := 0
	for part := range strings.FieldsFuncSeq(got, func(r rune) bool { return r == '\r' || r == '\n' }) {
		if strings.Contains(part, "%") {
			widest = max(widest, utf8.RuneCountInString(part))
		}
	}
	if widest < 70 || widest > 80 {
		t.Errorf("the bar is up to %d wide on 80 columns", widest)
	}
	for _, want := range []string{
		"waiting for index.example.com, nothing moved for 11s",
		"  60% |", "180 MiB of 300 MiB, 10 MiB/s, 12s left: one_linux_amd…",
		"waiting for example.com, nothing moved for 14s",
		"\rwarning: something is odd\n",
		"\rdownloaded 2 files, 200 MiB in 1m1s, 3.3 MiB/s; 1 file (100 MiB) there before\n",
		"still writing bundle.tar, nothing moved for 12s",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, strings.ReplaceAll(got, "\r", "\n"))
		}
	}
	if want := "\rwrote bundle.tar: 300 MiB in 30s, 10 MiB/s\n\r"; !strings.HasSuffix(got, want) {
		t.Errorf("it ends with %q", got[len(got)-80:])
	}
}

// TestMeterCountsWhatBegan has a file that begins before the plan is made, and a directory that is
// written at the same time.
func TestMeterCountsWhatBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(&transfer.Traffic{})
		m.observe(mirror.Event{Kind: mirror.EventStarted, Subject: one, Total: 10})
		m.observe(mirror.Event{Kind: mirror.EventProgress, Subject: one, Bytes: 4})
		m.begin(mirror.Event{Kind: mirror.EventPlanned, Activity: mirror.Downloading, Count: 2, Total: 15})
		m.observe(mirror.Event{Kind: mirror.EventProgress, Subject: "plugins", Bytes: 100})
		m.observe(mirror.Event{Kind: mirror.EventResumed, Subject: two, Bytes: 3})
		m.observe(mirror.Event{Kind: mirror.EventProgress, Subject: two, Bytes: 2})
		if m.done != 9 || m.moved != 6 || m.total != 15 {
			t.Errorf("%d done, %d moved of %d", m.done, m.moved, m.total)
		}
		m.observe(mirror.Event{Kind: mirror.EventFetched, Subject: one, Bytes: 10})
		m.observe(mirror.Event{Kind: mirror.EventRestarted, Subject: two})
		m.observe(mirror.Event{Kind: mirror.EventFetched, Subject: two, Bytes: 5})
		s := m.begin(mirror.Event{Kind: mirror.EventWriting, Activity: mirror.Writing, Subject: "a.tar", Total: 15})
		if s.files != 2 || s.bytes+s.keptBytes != 15 {
			t.Errorf("the sum is %+v", s)
		}
		if s := m.begin(mirror.Event{Kind: mirror.EventWriting, Activity: mirror.Writing, Subject: "b.tar", Total: 15}); s != nil || m.done != 0 {
			t.Errorf("of what was written before, the sum is %+v", s)
		}
		// More may come than the plan has.
		m.observe(mirror.Event{Kind: mirror.EventProgress, Subject: "b.tar", Bytes: 20})
		if m.done != 20 || m.total != 20 || m.percent() != 100 {
			t.Errorf("%d of %d done", m.done, m.total)
		}
	})
}

func TestMachinesGetWholeSubjects(t *testing.T) {
	got := shows(t, &global{logFormat: "json"}, "", func(p *progress) {
		p.retrying(one, errPlain("503 Service Unavailable"), 25*time.Second)
		time.Sleep(11 * time.Second)
	})
	if want := `"retrying":["` + one + `"],"retrySeconds":15,"detail":"trying one_linux_amd64 again in 15s"`; !strings.Contains(got, want) {
		t.Errorf("%s is not in %s", want, got)
	}
}
