package fetch

import (
	"bytes"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/bgentry/go-netrc/netrc"

	"github.com/botkube-mirror/botkube-mirror/internal/disk"
	"github.com/botkube-mirror/botkube-mirror/internal/fault"
	"github.com/botkube-mirror/botkube-mirror/internal/textfile"
)

// NetrcPath returns the path of the netrc file that go-getter, and so the agent, reads: the value of
// NETRC, or .netrc (on Windows _netrc) in the home directory.
func NetrcPath(getenv func(string) string, home string) string {
	if path := getenv("NETRC"); path != "" || home == "" {
		return path
	}
	name := ".netrc"
	if runtime.GOOS == "windows" {
		name = "_netrc"
	}
	return filepath.Join(home, name)
}

// readNetrc returns a function that reads a netrc file once. An absent file counts as empty.
func readNetrc(path string) func() (*netrc.Netrc, error) {
	return sync.OnceValues(func() (*netrc.Netrc, error) {
		if fi, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && fi.IsDir() {
			return &netrc.Netrc{}, nil
		}
		data, err := disk.ReadFile(path, 16<<20)
		if err == nil {
			data, err = textfile.Decode(data)
		}
		var n *netrc.Netrc
		if err == nil {
			n, err = netrc.Parse(bytes.NewReader(data))
		}
		if err != nil {
			return nil, netrcError(path, err)
		}
		return n, nil
	})
}

// netrcError returns an error without the text of a parse error, which quotes the file.
func netrcError(path string, err error) error {
	if e, ok := errors.AsType[*netrc.Error](err); ok {
		return fault.New(fault.Usage, "reading the netrc file %s: line %d is not valid", path, e.LineNum).
			WithHint("correct the line, or name another file in NETRC")
	}
	return fault.New(fault.Usage, "reading the netrc file: %w", err).WithHint("make the file readable, or name another one in NETRC")
}

// credentialsFor returns the credentials for a URL: those in it, or those of the netrc file for its
// host. It ignores the default entry, which would give a password to every host that an index names.
func credentialsFor(u *url.URL, n *netrc.Netrc) *url.Userinfo {
	if u.User != nil {
		return u.User
	}
	for _, name := range []string{u.Host, u.Hostname()} {
		if m := n.FindMachine(name); m != nil && !m.IsDefault() {
			return url.UserPassword(m.Login, m.Password)
		}
	}
	return nil
}
