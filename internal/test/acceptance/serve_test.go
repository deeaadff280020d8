//go:build linux

package acceptance

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/crypto/bcrypt"
)

// server is botkube-mirror serve at work, as the user as which an agent runs.
type server struct {
	cmd *exec.Cmd
	// indexes are the URLs that it prints, by repository, of its newest version.
	indexes map[string]string

	mu sync.Mutex
	// log has the lines of its standard error.
	log  []string
	done chan struct{}
}

// startServer serves a target on loopback. Where there are namespaces, it has a network of its own.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	programs, err := buildProduct()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(programs, "botkube-mirror")
	args = append([]string{"serve", "--format", "json", "--log-format", "json", "--listen", "127.0.0.1:0"}, args...)
	s := &server{cmd: exec.Command(program, args...), done: make(chan struct{})}
	if namespacesWork() == nil {
		if s.cmd, err = (namespace{Loopback: true, Command: program, Args: args}).command(); err != nil {
			t.Fatal(err)
		}
	}
	s.cmd.Env = append(s.cmd.Env, homeEnv(tempDir(t))...)
	s.start(t)
	t.Cleanup(func() {
		s.stop(t)
		if t.Failed() {
			t.Logf("the server's log:\n%s", strings.Join(s.log, "\n"))
		}
	})
	return s
}

func (s *server) start(t *testing.T) {
	t.Helper()
	stdout, err := s.cmd.StdoutPipe()
	stderr, err2 := s.cmd.StderrPipe()
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.done)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			s.mu.Lock()
			s.log = append(s.log, lines.Text())
			s.mu.Unlock()
		}
	}()
	var serving struct {
		Versions []struct {
			Tag     string
			Indexes map[string]string
		}
	}
	if err := json.NewDecoder(stdout).Decode(&serving); err != nil || len(serving.Versions) == 0 {
		_ = s.cmd.Process.Kill()
		<-s.done
		t.Fatalf("botkube-mirror %q serves nothing: %v\n%s", s.cmd.Args, err, strings.Join(s.log, "\n"))
	}
	newest := serving.Versions[0]
	if newest.Tag != Version {
		t.Errorf("the newest version is %s", newest.Tag)
	}
	s.indexes = newest.Indexes
}

// stop tells the server to end, once, and wants it to do so as one that has done its work.
func (s *server) stop(t *testing.T) {
	t.Helper()
	if s.cmd.ProcessState != nil {
		return
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	killed := time.AfterFunc(5*time.Minute, func() { _ = s.cmd.Process.Kill() })
	defer killed.Stop()
	<-s.done
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("botkube-mirror serve ends with %v", err)
	}
}

// calls returns what was asked of the server, once it has ended, each once: the digests of upstream files, and the
// paths of all else. Everything must have been answered.
func (s *server) calls(t *testing.T) []string {
	t.Helper()
	s.stop(t)
	asked := map[string]bool{}
	for _, line := range s.log {
		var request struct {
			Msg, Method, Path string
			Status            int
		}
		if err := json.Unmarshal([]byte(line), &request); err != nil || request.Msg != "request" {
			t.Errorf("the server says %s", line)
			continue
		}
		if request.Status != 200 && request.Status != 206 {
			t.Errorf("the server answers %s", line)
		}
		if rest, file := strings.CutPrefix(request.Path, "/files/"); file {
			asked[strings.Split(rest, "/")[1]] = true
		} else {
			asked[request.Path] = true
		}
	}
	return slices.Sorted(maps.Keys(asked))
}

// startAgent starts an agent with an empty cache directory that can reach the server, and nothing else.
func (s *server) startAgent(t *testing.T, cfg agentConfig, env ...string) agentReport {
	t.Helper()
	cache, home := tempDir(t), tempDir(t)
	cfg.CacheDir = cache
	if err := namespacesWork(); err != nil {
		t.Logf("all but the server taken away by: proxy that refuses (no namespaces: %v)", err)
		down := startProxy(t, nil)
		cmd := exec.Command(agentProgram(t))
		cmd.Env = append(proxyEnv(t, down), env...)
		report := runAgent(t, cmd, cfg)
		if asked := down.Fetched(); len(asked) > 0 && report.Error == "" {
			t.Errorf("the agent asked elsewhere for %q", asked)
		}
		return report
	}
	t.Logf("all but the server taken away by: namespace, as user %d", agentUser)
	for _, dir := range []string{cache, home} {
		if err := os.Chown(dir, agentUser, agentUser); err != nil {
			t.Fatal(err)
		}
	}
	cmd, err := namespace{Beside: s.cmd.Process.Pid, Command: agentProgram(t)}.command()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(append(cmd.Env, homeEnv(home)...), env...)
	return runAgent(t, cmd, cfg)
}

// releaseCalls are the calls of an agent with an empty cache directory that has every plugin of the release enabled.
func releaseCalls(t *testing.T) []string {
	t.Helper()
	calls := map[string]bool{}
	for repository := range IndexURLs {
		calls["/"+Version+"/"+repository+"/plugins-index.yaml"] = true
	}
	upstream := release(t)
	for _, p := range releasePlugins {
		for _, at := range p.files(here) {
			if upstream.files[at].sum == "" {
				t.Fatalf("upstream has no %s", at)
			}
			calls[upstream.files[at].sum] = true
		}
	}
	return slices.Sorted(maps.Keys(calls))
}

// TestAgentStartsFromServer starts agents with empty cache directories from every form of mirror that can be served.
// The only calls that they make are those in the server's log.
func TestAgentStartsFromServer(t *testing.T) {
	t.Parallel()
	site, layout, several := filepath.Join(tempDir(t), "www"), filepath.Join(tempDir(t), "layout"), filepath.Join(tempDir(t), "bundles")
	if err := os.Mkdir(several, 0o755); err != nil {
		t.Fatal(err)
	}
	runOffline(t, "unpack", bundleAll(t), "-o", "oci:"+layout, "-o", "oci:"+filepath.Join(several, "newer"),
		"-o", "site:"+site, "--base-url", "https://mirror.example.com/botkube")
	pullTo(t, release(t), "--version", "v1.13.0", "--repository", "botkube="+IndexURLs["botkube"], "--plugin", "botkube/echo",
		"-o", filepath.Join(several, "older.tar"))
	for name, target := range map[string]string{"bundle": bundleAll(t), "layout": layout, "site": site, "directory of bundles": several} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, target)
			cfg := everything()
			cfg.Repositories = repositories(s.indexes)
			checkAnswers(t, cfg, s.startAgent(t, cfg))
			if got, want := s.calls(t), releaseCalls(t); !slices.Equal(got, want) {
				t.Errorf("the agent asked for\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// TestAgentStartsFromServerOverTLS has the agent trust an authority, as a cluster's does.
func TestAgentStartsFromServerOverTLS(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	ca := newAuthority()
	leaf, err := ca.issueFile(dir, "localhost")
	if err != nil {
		t.Fatal(err)
	}
	trusted := filepath.Join(dir, "ca.pem")
	writeFile(t, trusted, ca.PEM())
	s := startServer(t, bundleAll(t), "--tls-cert", leaf+".crt", "--tls-key", leaf+".key")
	cfg := everything()
	urls := map[string]string{}
	for name, at := range s.indexes {
		// The server's own name for itself is its address, of which it has no certificate.
		urls[name] = strings.Replace(at, "127.0.0.1", "localhost", 1)
	}
	cfg.Repositories = repositories(urls)
	checkAnswers(t, cfg, s.startAgent(t, cfg, "SSL_CERT_FILE="+trusted))
	if got, want := s.calls(t), releaseCalls(t); !slices.Equal(got, want) {
		t.Errorf("the agent asked for\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestAgentLogsIn has an agent give a user and a password: with indexes by its configuration, with
// files by .netrc.
func TestAgentLogsIn(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	ca := newAuthority()
	leaf, err := ca.issueFile(dir, "localhost")
	if err != nil {
		t.Fatal(err)
	}
	trusted, passwords := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "htpasswd")
	writeFile(t, trusted, ca.PEM())
	hash, err := bcrypt.GenerateFromPassword([]byte("s3cret"), bcrypt.DefaultCost)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, passwords, []byte("agent:"+string(hash)+"\n"))
	s := startServer(t, bundleAll(t), "--tls-cert", leaf+".crt", "--tls-key", leaf+".key", "--htpasswd", passwords)
	start := func(url, password string, headers map[string]string, netrc string) (agentConfig, agentReport) {
		cfg := everything()
		cfg.Repositories = map[string]agentRepository{}
		host := ""
		for name, at := range s.indexes {
			at = strings.Replace(at, "127.0.0.1", "localhost", 1)
			host = strings.Split(at, "/")[2]
			cfg.Repositories[name] = agentRepository{URL: strings.Replace(at, "https://", url, 1), Headers: headers}
		}
		file := filepath.Join(dir, netrc)
		writeFile(t, file, fmt.Appendf(nil, "machine %s login agent password %s\n", host, password))
		return cfg, s.startAgent(t, cfg, "SSL_CERT_FILE="+trusted, "NETRC="+file)
	}
	basic := map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("agent:s3cret"))}
	for what, attempt := range map[string]struct {
		url, password string
		headers       map[string]string
		works         bool
	}{
		"a header":                 {"https://", "s3cret", basic, true},
		"user information":         {"https://agent:s3cret@", "s3cret", nil, true},
		"nothing with the indexes": {"https://", "s3cret", nil, false},
		"nothing with the files":   {"https://", "wrong", basic, false},
	} {
		cfg, report := start(attempt.url, attempt.password, attempt.headers, "netrc")
		switch {
		case attempt.works:
			checkAnswers(t, cfg, report)
		case report.Error == "":
			t.Errorf("%s: the agent started", what)
		}
	}
	s.stop(t)
	if log := strings.Join(s.log, "\n"); strings.Contains(log, "s3cret") || strings.Contains(log, "wrong") {
		t.Errorf("the log has a password:\n%s", log)
	}
}

// TestMetrics has Prometheus' own parser read the metrics.
func TestMetrics(t *testing.T) {
	t.Parallel()
	programs, err := buildProduct()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(programs, "botkube-mirror"), "serve", bundleAll(t), "-q", "--format", "json", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	var serving struct{ Metrics, BaseURL string }
	if err := json.NewDecoder(stdout).Decode(&serving); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/" + Version + "/lock.json", "/none"} {
		resp, err := http.Get(serving.BaseURL + path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	resp, err := http.Get(serving.Metrics)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if format := expfmt.ResponseFormat(resp.Header); format.FormatType() != expfmt.TypeTextPlain {
		t.Errorf("the format is %s", format)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for name, family := range families {
		if family.GetHelp() == "" || family.GetType() == dto.MetricType_UNTYPED || len(family.GetMetric()) == 0 && name != "botkube_mirror_requests_total" {
			t.Errorf("%s: %v", name, family)
		}
		if counter := strings.HasSuffix(name, "_total"); counter != (family.GetType() == dto.MetricType_COUNTER) {
			t.Errorf("%s is a %s", name, family.GetType())
		}
	}
	if n := len(families["botkube_mirror_requests_total"].GetMetric()); n != 3 {
		t.Errorf("%d kinds of requests", n)
	}
}

// TestAgentReachesNothingButTheServer is about the suite: an agent that is told to ask elsewhere does not start there.
func TestAgentReachesNothingButTheServer(t *testing.T) {
	t.Parallel()
	s := startServer(t, bundleAll(t))
	cfg := everything()
	cfg.Repositories = repositories(s.indexes)
	cfg.Repositories["botkube"] = agentRepository{URL: IndexURLs["botkube"]}
	if report := s.startAgent(t, cfg); report.Error == "" {
		t.Error("the agent started from an index elsewhere")
	}
}

// TestAgentTakesNothingDamagedFromServer damages one file of what is served. Its bytes stay where they are, and the
// agent does not start with something else in their place.
func TestAgentTakesNothingDamagedFromServer(t *testing.T) {
	t.Parallel()
	site := filepath.Join(tempDir(t), "www")
	runOffline(t, "unpack", bundleAll(t), "-o", "site:"+site, "--base-url", "https://mirror.example.com")
	sum := release(t).files[fileURL(kubectl.url(here))].sum
	files, err := filepath.Glob(filepath.Join(site, "files", sum[:2], sum, "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	writeFile(t, files[0], []byte("#!/bin/sh\necho damaged\n"))
	s := startServer(t, site)
	cfg := agentConfig{Repositories: repositories(s.indexes), Executors: []string{"botkube/kubectl"}}
	if report := s.startAgent(t, cfg); report.Error == "" {
		t.Errorf("the agent started: %+v", report)
	}
	s.stop(t)
	if log := strings.Join(s.log, "\n"); !strings.Contains(log, fmt.Sprintf("/files/%s/%s/", sum[:2], sum)) || !strings.Contains(log, "the file is damaged") {
		t.Errorf("the server does not say what is damaged:\n%s", log)
	}
}
