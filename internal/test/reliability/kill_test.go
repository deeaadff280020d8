//go:build linux

package reliability

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/botkube-mirror/botkube-mirror/internal/test/registrytest"
	"github.com/botkube-mirror/botkube-mirror/internal/test/reliability/powercut"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// killsEnv is how many runs are killed in all.
const killsEnv = "MIRROR_TEST_KILLS"

// kills returns a part of them, in percent.
func kills(t *testing.T, percent int) int {
	t.Helper()
	all := tier.Pick(1, 40)
	if s := os.Getenv(killsEnv); s != "" {
		var err error
		all, err = strconv.Atoi(s)
		check(t, err)
	}
	return (all*percent + 99) / 100
}

// kill runs a command for as long as is said, unless it ends before, and kills it.
// It reports whether it did.
func kill(t *testing.T, c *exec.Cmd, after time.Duration) (killed bool) {
	t.Helper()
	var stderr bytes.Buffer
	c.Stderr = &stderr
	check(t, c.Start())
	timer := time.AfterFunc(after, func() { _ = c.Process.Kill() }) // it may just have ended
	err := c.Wait()
	timer.Stop()
	if err != nil && c.ProcessState.Exited() {
		t.Errorf("a run that was to be killed ended by itself: %v\n%s", err, &stderr)
	}
	return err != nil
}

// moment returns an instant of a run that takes so long undisturbed.
func moment(random *rand.Rand, whole time.Duration) time.Duration {
	return time.Duration(random.Int64N(int64(whole)))
}

// job is work that is killed again and again before a run completes it.
type job struct {
	w    scene
	args []string
	change
	// takes is how long an undisturbed run does, by whether downloads are slow.
	takes map[bool]time.Duration
	// upstream is nil where nothing is downloaded.
	upstream *updates
}

// newJob has the work done undisturbed, from an image.
func newJob(t *testing.T, w scene, upstream *updates, before powercut.Image, args []string) *job {
	t.Helper()
	j := &job{w: w, args: args, takes: map[bool]time.Duration{}, upstream: upstream}
	for _, slow := range []bool{true, false} {
		if slow && upstream == nil {
			continue
		}
		w.restore(t, before)
		j.before = w.read(t)
		j.pace(slow)
		began := time.Now()
		if o := finish(t, w.command(args...)); o.code != 0 {
			t.Fatalf("the undisturbed run ends with %d:\n%s", o.code, o.stderr)
		}
		j.takes[slow] = time.Since(began)
		j.after = w.read(t)
	}
	return j
}

func (j *job) pace(slow bool) {
	if j.upstream != nil {
		j.upstream.slow.Store(slow)
	}
}

// disturb kills so many runs of the work, one to three before each that may
// come to its end, and returns how many it killed.
func (j *job) disturb(t *testing.T, random *rand.Rand) (killed int) {
	t.Helper()
	j.w.restore(t, j.before)
	history := ""
	for range 1 + random.IntN(3) {
		slow := j.upstream != nil && random.IntN(2) == 0
		j.pace(slow)
		after := moment(random, j.takes[slow])
		found := j.w.read(t)
		j.beginCounting(t)
		if kill(t, j.w.command(j.args...), after) {
			killed++
		}
		history += fmt.Sprintf("a kill after %v, ", after)
		j.checkCount(t, history, found)
		complain(t, history+"there is something broken", j.broken(j.w.read(t)))
	}
	j.pace(false)
	found := j.w.read(t)
	j.beginCounting(t)
	got := j.w.runAgain(t, history, j.args)
	j.checkCount(t, history+"the next run", found)
	complain(t, history+"and a whole run", differences(got, j.after, j.before))
	return killed
}

func (j *job) beginCounting(t *testing.T) {
	t.Helper()
	if j.upstream != nil {
		j.upstream.downloaded(t)
	}
}

// checkCount complains if a run has downloaded what it had found.
func (j *job) checkCount(t *testing.T, when string, found powercut.Image) {
	t.Helper()
	if j.upstream == nil {
		return
	}
	if sent, most := j.upstream.downloaded(t), j.upstream.needed(found); sent > most {
		t.Errorf("%s: %d bytes were downloaded, of which %d were needed", when, sent, most)
	}
}

// disturbAll kills so many runs in all, of each job in turn.
func disturbAll(t *testing.T, random *rand.Rand, wanted int, jobs ...*job) {
	t.Helper()
	for _, j := range jobs {
		t.Logf("undisturbed, a run takes %v", j.takes)
	}
	// A machine that got faster since the runs were timed may leave few to kill.
	for killed, rounds := 0, 0; killed < wanted && rounds < 4*wanted && !t.Failed(); rounds++ {
		killed += jobs[rounds%len(jobs)].disturb(t, random)
	}
}

// TestKillPull kills pulls, of something new and of an update.
func TestKillPull(t *testing.T) {
	t.Parallel()
	wanted := kills(t, 60)
	random := randomFrom(t)
	w, upstream := newScene(t), startUpdates(t, 300_000, 5_000_000)
	args := append([]string{"pull", "--version", "v1.0.0", "--repository", "r=" + upstream.index()}, w.outputs()...)
	fresh := newJob(t, w, upstream, bare(), args)
	disturbAll(t, random, wanted/2, fresh)
	upstream.update()
	disturbAll(t, random, wanted-wanted/2, newJob(t, w, upstream, fresh.after, args))
}

// TestKillUnpack kills runs that unpack, to nothing and over something older.
func TestKillUnpack(t *testing.T) {
	t.Parallel()
	tier.SkipUnlessThorough(t) // TestKillPull is for the default tier
	wanted := kills(t, 25)
	random := randomFrom(t)
	w, upstream := newScene(t), startUpdates(t, 300_000, 2_000_000)
	args := append([]string{"pull", "--version", "v1.0.0", "--repository", "r=" + upstream.index()}, w.outputs()...)
	old := newJob(t, w, upstream, bare(), args).after
	upstream.update()
	updated := newJob(t, w, upstream, old, args).after
	args = append([]string{"unpack", w.path("home/bundle.tar")}, w.outputs()...)
	disturbAll(t, random, wanted,
		newJob(t, w, nil, withBundle(nil, updated), args), newJob(t, w, nil, withBundle(old, updated), args))
}

// TestKillPush kills pushes to a real registry. In the end, it has what an
// undisturbed push gives it, and nothing is sent another time.
func TestKillPush(t *testing.T) {
	t.Parallel()
	tier.SkipUnlessThorough(t) // TestKillPull is for the default tier
	wanted := kills(t, 15)
	registry := registrytest.Start(t, registrytest.Options{})
	proxy := registry.Proxy(t)
	random := randomFrom(t)
	w, upstream := newScene(t), startUpdates(t, 300_000, 2_000_000)
	bundle := w.path("home/bundle.tar")
	if o := finish(t, w.command("pull", "--version", "v1.0.0", "--repository", "r="+upstream.index(), "-o", bundle)); o.code != 0 {
		t.Fatal(o.stderr)
	}
	before := w.read(t)
	pushBy := func(proxy *registrytest.Proxy, prefix string) *exec.Cmd {
		return w.command("push", bundle, proxy.Host+"/"+prefix, "--plain-http", "--seeder", "none")
	}
	push := func(prefix string) *exec.Cmd { return pushBy(proxy, prefix) }
	began := time.Now()
	mustPush(t, push("undisturbed"))
	takes := time.Since(began)
	want := tags(t, registry, "undisturbed")
	if len(want) != 2 {
		t.Fatalf("an undisturbed push leaves the tags %v", want)
	}
	for killed, round := 0, 0; killed < wanted && round < 4*wanted && !t.Failed(); round++ {
		prefix := fmt.Sprintf("round%d", round)
		for range 1 + random.IntN(3) {
			if kill(t, push(prefix), moment(random, takes)) {
				killed++
			}
			for tag, digest := range tags(t, registry, prefix) {
				if digest != want[tag] {
					t.Errorf("after a kill, %s is %s, not %s", tag, digest, want[tag])
				}
				checkComplete(t, registry, prefix+"/"+tag, digest)
			}
		}
		mustPush(t, push(prefix))
		if got := tags(t, registry, prefix); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("after kills, and a whole push, the registry has %v, not %v", got, want)
		}
		// One of its own: another may still pass on what a killed run has sent.
		last := registry.Proxy(t)
		mustPush(t, pushBy(last, prefix))
		if again := uploaded(last); again > 0 {
			t.Errorf("a push of what is there sends %d bytes", again)
		}
		complain(t, "after kills, and a whole push", differences(w.read(t), before, nil))
	}
}

func mustPush(t *testing.T, c *exec.Cmd) {
	t.Helper()
	if o := finish(t, c); o.code != 0 {
		t.Fatalf("a push ends with %d:\n%s", o.code, o.stderr)
	}
}

func uploaded(proxy *registrytest.Proxy) (n int64) {
	for _, method := range []string{http.MethodPost, http.MethodPatch, http.MethodPut} {
		n += proxy.BytesIn(method)
	}
	return n
}

// tags returns the digests of the tags below a prefix of a registry.
func tags(t *testing.T, registry *registrytest.Registry, prefix string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, repository := range []string{"botkube-plugins", "botkube-plugins-bundle"} {
		header, _, err := ask(registry, http.MethodHead, prefix+"/"+repository+"/manifests/v1.0.0")
		if errors.Is(err, errAbsent) {
			continue
		}
		check(t, err)
		found[repository] = header.Get("Docker-Content-Digest")
	}
	return found
}

// checkComplete complains if not everything is there that a manifest names.
func checkComplete(t *testing.T, registry *registrytest.Registry, repository, digest string) {
	t.Helper()
	_, data, err := ask(registry, http.MethodGet, repository+"/manifests/"+digest)
	check(t, err)
	type descriptor struct{ Digest string }
	var manifest struct {
		Manifests, Layers []descriptor
		Config            *descriptor
	}
	check(t, json.Unmarshal(data, &manifest))
	for _, m := range manifest.Manifests {
		checkComplete(t, registry, repository, m.Digest)
	}
	if manifest.Config != nil {
		manifest.Layers = append(manifest.Layers, *manifest.Config)
	}
	for _, l := range manifest.Layers {
		if _, _, err := ask(registry, http.MethodHead, repository+"/blobs/"+l.Digest); err != nil {
			t.Errorf("%s has a manifest without one of its blobs: %v", repository, err)
		}
	}
}

var (
	errAbsent = errors.New("it is not there")
	errServer = errors.New("the registry answers with status 500")
)

// ask asks again for a while after a status 500: the registry goes on with a
// request whose sender was killed, and it writes the file that has a tag's
// digest in place, so that whoever reads it meanwhile may find it empty.
func ask(registry *registrytest.Registry, method, path string) (http.Header, []byte, error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		header, data, err := askOnce(registry, method, path)
		if !errors.Is(err, errServer) || time.Now().After(deadline) {
			return header, data, err
		}
	}
}

func askOnce(registry *registrytest.Registry, method, path string) (http.Header, []byte, error) {
	req, err := http.NewRequest(method, registry.URL+"/v2/"+path, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header["Accept"] = []string{"application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		data, err := io.ReadAll(resp.Body)
		return resp.Header, data, err
	case http.StatusNotFound:
		return nil, nil, fmt.Errorf("%s: %w", path, errAbsent)
	case http.StatusInternalServerError:
		return nil, nil, fmt.Errorf("%s: %w", path, errServer)
	}
	return nil, nil, fmt.Errorf("%s: %s", path, resp.Status)
}
