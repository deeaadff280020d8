//go:build linux

package powercut

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// apply does what a call did, and says what that was; nothing if it changed
// neither a file nor what is durable of one. A call that it does not know is an
// error, so that none is missed.
func (d *Disk) apply(c call) (did string, err error) {
	if c.failed {
		return "", nil
	}
	switch c.name {
	case "openat":
		return d.openat(c)
	case "close":
		return "", d.close(c)
	case "socket", "eventfd2", "epoll_create1":
		d.open[c.result] = &description{}
		return "", nil
	case "dup", "dup2", "dup3", "fcntl":
		return "", d.duplicate(c)
	case "lseek", "read":
		return "", d.seek(c)
	case "write", "pwrite64":
		return d.write(c)
	case "copy_file_range":
		return d.copy(c, 0, 2)
	case "sendfile":
		return d.copy(c, 1, 0)
	case "ftruncate":
		return d.truncate(c)
	case "fsync", "fdatasync":
		return d.sync(c)
	case "fchmod", "fchmodat":
		return d.chmod(c)
	case "mkdirat":
		return d.mkdir(c)
	case "unlinkat":
		return d.unlink(c)
	case "renameat", "renameat2":
		return d.rename(c)
	case "sync_file_range", "utimensat":
		return "", nil // nothing is durable by the one; times do not count
	case "mmap":
		return "", refuseIf(c.has(3, "MAP_SHARED") && c.has(2, "PROT_WRITE"), "files are written through memory")
	case "clone", "clone3":
		return "", refuseIf(!strings.Contains(strings.Join(c.args, " "), "CLONE_FILES"), "a process of its own is started")
	case "execve":
		d.execs++
		return "", refuseIf(d.execs > 1, "another program is started")
	case "ioctl":
		fd, err := d.descriptor(c, 0)
		if err != nil {
			return "", err
		}
		return "", refuseIf(fd.node != nil, "it is not known what that does")
	}
	return "", fmt.Errorf("it is not known what that does")
}

func refuseIf(refused bool, why string) error {
	if refused {
		return fmt.Errorf("%s", why)
	}
	return nil
}

func (d *Disk) openat(c call) (string, error) {
	p, err := d.locate(c, 0, 1)
	if err != nil {
		return "", err
	}
	open := &description{node: p.node(), path: p.path, appending: c.has(2, "O_APPEND")}
	d.open[c.result] = open
	if p.dir == nil {
		return "", nil
	}
	if c.has(2, "O_TMPFILE") {
		// It never gets a name, but what is written to it may be copied.
		open.node = &node{}
		return "", nil
	}
	did := ""
	switch {
	case open.node == nil && c.has(2, "O_CREAT"):
		mode, err := c.number(3)
		if err != nil {
			return "", err
		}
		m := fs.FileMode(mode).Perm() &^ umask
		open.node = &node{mode: m, syncedMode: m}
		p.dir.change(change{p.name: open.node})
		did = "create " + p.path
	case open.node == nil:
		return "", fmt.Errorf("%s is not known to be there", p.path)
	}
	if c.has(2, "O_TRUNC") && len(open.node.data) > 0 {
		open.node.truncate(0)
		did = "truncate " + p.path
	}
	return did, nil
}

func (d *Disk) close(c call) error {
	if _, err := d.descriptor(c, 0); err != nil {
		return err
	}
	fd, err := c.number(0)
	delete(d.open, fd)
	return err
}

func (d *Disk) duplicate(c call) error {
	if c.name == "fcntl" {
		switch cmd, _ := c.arg(1); cmd {
		case "F_DUPFD", "F_DUPFD_CLOEXEC":
		case "F_GETFD", "F_SETFD", "F_GETFL":
			return nil
		case "F_SETFL":
			return d.setFlags(c)
		default:
			return fmt.Errorf("it is not known what that does")
		}
	}
	open, err := d.descriptor(c, 0)
	d.open[c.result] = open
	return err
}

// setFlags refuses to lose track of where a file is written.
func (d *Disk) setFlags(c call) error {
	fd, err := d.descriptor(c, 0)
	if err != nil {
		return err
	}
	return refuseIf(fd.node != nil && fd.appending != c.has(2, "O_APPEND"), "where it writes is changed")
}

func (d *Disk) seek(c call) error {
	fd, err := d.descriptor(c, 0)
	if err != nil {
		return err
	}
	if c.name == "lseek" {
		fd.offset = c.result
	} else {
		fd.offset += c.result
	}
	return nil
}

func (d *Disk) write(c call) (string, error) {
	fd, err := d.descriptor(c, 0)
	if err != nil || fd.node == nil {
		return "", err
	}
	data, err := c.text(1)
	if err != nil {
		return "", err
	}
	at := &fd.offset
	if c.name == "pwrite64" {
		offset, err := c.number(3)
		if err != nil {
			return "", err
		}
		at = &offset
	}
	return fd.put(at, []byte(data)[:c.result]), nil
}

// put writes where a description, or an offset of its own, is.
func (fd *description) put(at *int64, data []byte) string {
	if fd.appending {
		*at = int64(len(fd.node.data))
	}
	fd.node.write(*at, data)
	*at += int64(len(data))
	return fmt.Sprintf("write %d bytes to %s", len(data), fd.path)
}

// copy is between two files, each from where it stands.
func (d *Disk) copy(c call, from, to int) (string, error) {
	for _, arg := range c.args {
		if strings.HasPrefix(arg, "[") {
			return "", fmt.Errorf("it copies at an offset of its own")
		}
	}
	in, err := d.descriptor(c, from)
	if err != nil {
		return "", err
	}
	out, err := d.descriptor(c, to)
	if err != nil || out.node == nil {
		return "", err
	}
	if in.node == nil {
		return "", fmt.Errorf("it copies from outside of what is recorded")
	}
	if in.offset+c.result > int64(len(in.node.data)) {
		return "", fmt.Errorf("it copies more than is known to be there")
	}
	data := in.node.data[in.offset : in.offset+c.result]
	in.offset += c.result
	return out.put(&out.offset, data), nil
}

func (d *Disk) truncate(c call) (string, error) {
	fd, err := d.descriptor(c, 0)
	if err != nil || fd.node == nil {
		return "", err
	}
	size, err := c.number(1)
	if err != nil {
		return "", err
	}
	fd.node.truncate(size)
	return fmt.Sprintf("truncate %s to %d", fd.path, size), nil
}

func (d *Disk) sync(c call) (string, error) {
	fd, err := d.descriptor(c, 0)
	if err != nil || fd.node == nil {
		return "", err
	}
	fd.node.sync()
	return "sync " + fd.path, nil
}

func (d *Disk) chmod(c call) (string, error) {
	n, shown, modeArg, err := d.chmodded(c)
	if err != nil || n == nil {
		return "", err
	}
	mode, err := c.number(modeArg)
	if err != nil {
		return "", err
	}
	n.mode = n.mode.Type() | fs.FileMode(mode).Perm()
	return fmt.Sprintf("chmod %s %o", shown, mode), nil
}

func (d *Disk) chmodded(c call) (n *node, shown string, modeArg int, err error) {
	if c.name == "fchmod" {
		fd, err := d.descriptor(c, 0)
		if err != nil {
			return nil, "", 0, err
		}
		return fd.node, fd.path, 1, nil
	}
	// Without fchmodat2, Go names an open file in /proc.
	if name, err := c.text(1); err == nil && strings.HasPrefix(name, procFD) {
		number, err := strconv.ParseInt(strings.TrimPrefix(name, procFD), 10, 64)
		if fd := d.open[number]; err == nil && fd != nil {
			return fd.node, fd.path, 2, nil
		}
		return nil, "", 0, fmt.Errorf("it is not known what %s is", name)
	}
	p, err := d.locate(c, 0, 1)
	if err == nil && p.dir != nil && p.node() == nil {
		err = fmt.Errorf("%s is not known to be there", p.path)
	}
	return p.node(), p.path, 2, err
}

func (d *Disk) mkdir(c call) (string, error) {
	p, err := d.locate(c, 0, 1)
	if err != nil || p.dir == nil {
		return "", err
	}
	mode, err := c.number(2)
	if err != nil {
		return "", err
	}
	p.dir.change(change{p.name: newDir(fs.FileMode(mode) &^ umask)})
	return "mkdir " + p.path, nil
}

func (d *Disk) unlink(c call) (string, error) {
	p, err := d.locate(c, 0, 1)
	if err != nil || p.dir == nil {
		return "", err
	}
	if p.node() == nil {
		return "", fmt.Errorf("%s is not known to be there", p.path)
	}
	p.dir.change(change{p.name: nil})
	return "remove " + p.path, nil
}

func (d *Disk) rename(c call) (string, error) {
	if c.name == "renameat2" && !c.has(4, "0") && !c.has(4, "RENAME_NOREPLACE") {
		return "", fmt.Errorf("it is not known what that does")
	}
	from, err := d.locate(c, 0, 1)
	if err != nil {
		return "", err
	}
	to, err := d.locate(c, 2, 3)
	if err != nil || from.dir == nil && to.dir == nil {
		return "", err
	}
	moved := from.node()
	if from.dir == nil || to.dir == nil || moved == nil {
		return "", fmt.Errorf("what is moved is not known")
	}
	if from.dir == to.dir {
		from.dir.change(change{from.name: nil, to.name: moved})
	} else {
		to.dir.change(change{to.name: moved})
		from.dir.change(change{from.name: nil})
	}
	return fmt.Sprintf("rename %s to %s", from.path, to.path), nil
}
