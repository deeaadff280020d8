package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
	"github.com/botkube-mirror/botkube-mirror/internal/botkube/configured"
	"github.com/botkube-mirror/botkube-mirror/internal/content/lock"
	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/form"
	"github.com/botkube-mirror/botkube-mirror/internal/form/atomicfile"
	"github.com/botkube-mirror/botkube-mirror/internal/mirror"
)

const defaultLock = "botkube-mirror.lock.json"

func lockCommand(g *global) *cobra.Command {
	var sel selectionFlags
	var net networkFlags
	var o mirror.LockOptions
	c := &cobra.Command{
		Use:   "lock --version VERSION [FILE]",
		Short: "Pin every file of a mirror with its size and checksum",
		Long: `Write a lock: a file that pins each plugin and dependency with its URL, size and
checksum. Keep it in git. pull --lock FILE then mirrors exactly the same files,
or fails. FILE is ` + defaultLock + ` by default; - is standard output.

Files with a checksum from the index or from their publisher are not downloaded.
The others are, because their checksum must be computed.`,
		Example: `  botkube-mirror lock --version v1.14.0
  botkube-mirror pull --lock ` + defaultLock + ` -o ./plugins`,
		Args: maxArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			file := defaultLock
			if len(args) > 0 {
				file = args[0]
			}
			if o.Selection, err = sel.selection(g); err != nil {
				return err
			}
			var before []byte
			if file != "-" {
				if before, err = checkLockFile(file); err != nil {
					return err
				}
				o.Replaces = file
			}
			var configured *configured.Agent
			l, err := inSession(c.Context(), g, net.upstream(), func(s *mirror.Session) (l *lock.Lock, err error) {
				l, configured, err = s.Lock(c.Context(), o)
				return l, err
			})
			if incomplete, ok := errors.AsType[*mirror.Incomplete](err); ok && g.format == "json" {
				return errors.Join(err, g.print(struct {
					Failed []mirror.Failure `json:"failed"`
				}{incomplete.Failures}, nil))
			}
			if err != nil {
				return err
			}
			data, err := l.Marshal()
			if err != nil {
				return err
			}
			if file == "-" {
				_, err := g.env.Stdout.Write(data)
				return err
			}
			if err := writeFile(c.Context(), file, data); err != nil {
				return fmt.Errorf("writing the lock: %w", err)
			}
			state := "written"
			if bytes.Equal(before, data) {
				state = "unchanged"
			} else if len(before) > 0 {
				state = "renewed"
			}
			return g.print(l, func(out *layout) { lockSummary(out, file, g.file, state, l, configured) })
		},
	}
	sel.register(c, false)
	keepGoingFlag(c, &o.KeepGoing)
	net.register(c)
	net.transfer.registerMaxSize(c)
	return c
}

// checkLockFile refuses a place where a lock cannot be written. It refuses to replace a file that is
// not a lock, such as a bundle or Helm values. A lock with git's conflict marks counts as a lock.
// It returns what is there.
func checkLockFile(file string) ([]byte, error) {
	if strings.HasPrefix(file, form.RegistryPrefix) {
		return nil, fault.New(fault.Usage, "a lock is written to a file, not to %s", file).WithHint("name a file, or - for standard output")
	}
	if err := atomicfile.Check(file); err != nil {
		return nil, err
	}
	data, err := disk.ReadRegular(file, lock.MaxSize)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (len(data) == 0 || bytes.Contains(data, []byte(`"schemaVersion"`))) {
		return data, nil
	}
	if err != nil && fault.KindOf(err) != fault.Integrity {
		return nil, fault.New(fault.Usage, "the output %s exists, and cannot be read: %w", file, err).WithHint("make it readable, or name another file for the lock")
	}
	return nil, fault.New(fault.Usage, "the output %s exists, and is not a lock", file).WithHint("name another file for the lock, or move %s away", file)
}

// writeFile replaces a file in one step, or leaves it as it is.
func writeFile(ctx context.Context, name string, data []byte) error {
	file, err := atomicfile.Open(ctx, name, nil)
	if err != nil {
		return err
	}
	f, err := file.Create()
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = file.Publish()
	}
	return errors.Join(err, file.Close())
}

// lockSummary names the configuration file in the next command, which needs its network settings, too.
func lockSummary(out *layout, file, config, state string, l *lock.Lock, configured *configured.Agent) {
	var files []checked
	for _, a := range l.Artifacts {
		files = append(files, checked{a.URL, a.Size, a.VerifiedBy})
	}
	out.verdict(good, file, state, fmt.Sprintf("%s and %s for %s", count(len(l.Plugins), "plugin"), count(len(l.Artifacts), "file"), agent.JoinPlatforms(l.Platforms)))
	out.checksums(files)
	out.members(l.AgentImage, l.WatcherImage, l.Chart)
	out.replaced(lock.ReplacedIn(l.Plugins))
	out.unverified(files, "botkube-mirror list "+file)
	out.configured(configured)
	out.partial(l.AgentImage, l.WatcherImage)
	what := "commit the lock, and pull what it pins"
	if state == "unchanged" {
		what = "pull what the lock pins"
	}
	with := ""
	if config != "" {
		with = " -f " + fault.Quote(config)
	}
	out.next(what, "botkube-mirror pull"+with+" --lock "+file+" -o bundle.tar")
}
