//go:build linux

package reliability

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/botkube-mirror/botkube-mirror/internal/test/reliability/powercut"
	"github.com/botkube-mirror/botkube-mirror/internal/test/tier"
)

// cutsEnv is after how many power cuts of each scenario the program is run
// again, or "all".
const cutsEnv = "MIRROR_TEST_POWER_CUTS"

// TestPowerCut records what real runs do to files, takes the power away after
// every change, and looks at what may then be on the disk: an old output or a
// new one, and from there, one more run leads to what an undisturbed run does.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	if os.Getenv(cutsEnv) == "" {
		tier.SkipUnlessThorough(t)
	}
	if err := powercut.Usable(); err != nil {
		tier.Missing(t, err)
	}
	random := randomFrom(t)
	w, upstream := newScene(t), startUpdates(t, 20_000, 1_200_000)
	pull := append([]string{"pull", "--version", "v1.0.0", "--repository", "r=" + upstream.index(), "--parallel", "1"}, w.outputs()...)

	t.Run("pull", func(t *testing.T) { cutPower(t, w, upstream, random, pull...) })
	old := w.read(t)
	upstream.update()
	t.Run("update", func(t *testing.T) { cutPower(t, w, upstream, random, pull...) })
	updated := w.read(t)
	t.Run("prune", func(t *testing.T) {
		cutPower(t, w, upstream, random, "prune", w.path("out/dir"))
		cutPower(t, w, upstream, random, "prune", w.path("out/site"))
		cutPower(t, w, upstream, random, "prune")
	})
	unpack := append([]string{"unpack", w.path("home/bundle.tar")}, w.outputs()...)
	t.Run("unpack", func(t *testing.T) {
		w.restore(t, withBundle(nil, updated))
		cutPower(t, w, upstream, random, unpack...)
	})
	t.Run("unpack update", func(t *testing.T) {
		w.restore(t, withBundle(old, updated))
		cutPower(t, w, upstream, random, unpack...)
	})
}

// remains is what a power cut left.
type remains struct {
	when  string
	model powercut.Model
	left  powercut.Image
}

// cutPower runs the program, and then what TestPowerCut describes. It leaves the
// place as the undisturbed run did.
func cutPower(t *testing.T, w scene, upstream *updates, random *rand.Rand, args ...string) {
	t.Helper()
	recording := record(t, w, args...)
	undisturbed := w.read(t)
	after := finalState(t, recording)
	complain(t, "the recording is wrong about what the run left", differences(undisturbed, after, nil))
	did := change{recording.Before, after}
	all := did.examine(t, "", recording.Replay, random)
	for _, r := range append(sample(t, all, 8, random), critical(all)...) {
		w.restore(t, r.left)
		upstream.downloaded(t)
		got := w.runAgain(t, "after "+r.when, args)
		if sent, most := upstream.downloaded(t), upstream.needed(r.left); r.model == powercut.Everything && sent > most {
			t.Errorf("after %s: the next run downloads %d bytes, of which %d were needed", r.when, sent, most)
		}
		if r.model != powercut.Everything {
			// The power cut may have brought back one that was complete.
			w.dropDownloads(t, "after "+r.when, got)
		}
		complain(t, "after "+r.when+", when the next run has ended well", differences(got, undisturbed, recording.Before))
	}
	cutPowerAgain(t, w, did, recording, random, args...)
	w.restore(t, undisturbed)
}

// critical returns the states in which most is at stake of what was downloaded:
// right after a blob got its name, and when so much of a file has come that
// not all of it may be asked for again, whether or not a checkpoint vouches for it.
func critical(all []remains) []remains {
	return slices.DeleteFunc(slices.Clone(all), func(r remains) bool {
		if r.model == powercut.Everything && strings.Contains(r.when, ".part to store/blobs/") {
			return false
		}
		return r.model == powercut.Synced || r.model == powercut.Names || !midway(r)
	})
}

func midway(r remains) bool {
	if !strings.Contains(r.when, "to store/ingest/") {
		return false
	}
	for p, f := range r.left {
		if strings.HasPrefix(p, "store/ingest/") && strings.HasSuffix(p, ".part") && len(f.Data) > mayRepeat*3/4 {
			return true
		}
	}
	return false
}

// cutPowerAgain kills the program after a rename, which is then not durable yet,
// and takes the power away from the run that follows.
func cutPowerAgain(t *testing.T, w scene, did change, recording *powercut.Recording, random *rand.Rand, args ...string) {
	t.Helper()
	var renames []string
	check(t, recording.Replay(func(did string, _ *powercut.Disk) error {
		if strings.Contains(did, " rename ") {
			renames = append(renames, did)
		}
		return nil
	}))
	for _, rename := range sample(t, renames, 1, random) {
		var killed *powercut.Disk
		err := recording.Replay(func(did string, d *powercut.Disk) error {
			if did != rename {
				return nil
			}
			killed = d
			return errReached
		})
		if !errors.Is(err, errReached) {
			t.Fatal(err)
		}
		w.restore(t, killed.After(powercut.Everything, nil))
		next := record(t, w, args...)
		replay := func(visit func(string, *powercut.Disk) error) error { return next.ReplayOn(killed, visit) }
		did.examine(t, "a kill after "+rename+", and in the next run ", replay, random)
	}
}

var errReached = errors.New("as far as is wanted")

// record runs the program to a good end, and records what it does.
func record(t *testing.T, w scene, args ...string) *powercut.Recording {
	t.Helper()
	c := w.command(args...)
	// One thread at a time, so that calls are in the order of their effects.
	c.Env = append(c.Env, "GOMAXPROCS=1")
	recording, err := powercut.Record(w.root, c)
	check(t, err)
	return recording
}

func finalState(t *testing.T, recording *powercut.Recording) powercut.Image {
	t.Helper()
	var last *powercut.Disk
	check(t, recording.Replay(func(_ string, d *powercut.Disk) error {
		last = d
		return nil
	}))
	return last.After(powercut.Everything, nil)
}

// replay calls back for every step of a run: see [powercut.Recording.Replay].
type replay func(visit func(did string, d *powercut.Disk) error) error

// examine looks at what is left after each step of a run by each model, and
// returns it, without what was the same a step before.
func (c change) examine(t *testing.T, earlier string, run replay, random *rand.Rand) []remains {
	t.Helper()
	var all []remains
	var last *powercut.Disk
	steps := 0
	before := map[powercut.Model]powercut.Image{}
	look := func(m powercut.Model, did string, d *powercut.Disk) error {
		left := d.After(m, random)
		if alike(left, before[m]) {
			return nil
		}
		before[m] = left
		when := fmt.Sprintf("%sa power cut after step %d (%s) that %s survived", earlier, steps, did, m)
		all = append(all, remains{when, m, left})
		if wrong := c.broken(left); len(wrong) > 0 {
			complain(t, "after "+when, wrong)
			return errReached
		}
		return nil
	}
	err := run(func(did string, d *powercut.Disk) error {
		for _, m := range append(powercut.Models, powercut.Random) {
			if err := look(m, did, d); err != nil {
				return err
			}
		}
		last = d
		steps++
		return nil
	})
	if errors.Is(err, errReached) {
		return all
	}
	check(t, err)
	for _, m := range powercut.Models {
		lost := c.lost(last.After(m, nil))
		if earlier != "" {
			// What only helps a later run is not made durable a second time.
			lost = slices.DeleteFunc(lost, func(p string) bool { return strings.HasPrefix(p, "store/") })
		}
		complain(t, fmt.Sprintf("after %sa power cut in the end, that %s survived", earlier, m), lost)
	}
	t.Logf("%d steps, %d states after power cuts", steps, len(all))
	return all
}

// alike compares images of one disk, whose contents are shared unless they changed.
func alike(a, b powercut.Image) bool {
	if len(a) != len(b) {
		return false
	}
	for p := range a {
		if !same(a, b, p) {
			return false
		}
	}
	return true
}

// sample returns so many as are wanted, evenly spread.
func sample[E any](t *testing.T, all []E, wanted int, random *rand.Rand) []E {
	t.Helper()
	switch s := os.Getenv(cutsEnv); s {
	case "":
	case "all":
		return all
	default:
		var err error
		wanted, err = strconv.Atoi(s)
		check(t, err)
	}
	var some []E
	for i := range wanted {
		from, to := i*len(all)/wanted, (i+1)*len(all)/wanted
		if from < to {
			some = append(some, all[from+random.IntN(to-from)])
		}
	}
	return some
}
