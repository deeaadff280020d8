//go:build unix

package reliability

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// unread is how it ends for commands that read the documents of a bundle alone.
func unread(commands ...string) map[string]want {
	except := map[string]want{}
	for _, c := range commands {
		except[c] = want{note: "since documents alone are read"}
	}
	return except
}

// keep returns a bundle that was cut off.
func keep(length func(b *bundleTar) int) func(*bundleTar) []byte {
	return func(b *bundleTar) []byte { return b.data[:length(b)] }
}

// inDirectory damages a file of a bundle.
func inDirectory(name func(*bundleTar) string, damage func(data []byte) []byte) func(testing.TB, *bundleTar, string) {
	return func(t testing.TB, b *bundleTar, dir string) {
		file := filepath.Join(dir, name(b))
		data, err := os.ReadFile(file)
		check(t, err)
		if data = damage(data); data == nil {
			check(t, os.Remove(file))
			return
		}
		writeFile(t, file, data)
	}
}

func theLock(b *bundleTar) string     { return b.lock }
func theManifest(b *bundleTar) string { return b.manifest }
func aPlugin(b *bundleTar) string     { return b.archive }
func indexJSON(*bundleTar) string     { return "index.json" }
func lost([]byte) []byte              { return nil }
func half(data []byte) []byte         { return data[:len(data)/2] }
func noise([]byte) []byte             { return []byte("\x00noise") }
func flipped(data []byte) []byte      { data[len(data)/2] ^= 1; return data }
func longer(data []byte) []byte       { return append(data, 0) }
func nothingOf([]byte) []byte         { return []byte{} }

var offlineFaults = []*offlineFault{
	{name: "it is empty", tar: keep(func(*bundleTar) int { return 0 }), want: fails(4, "is empty", nothing)},
	{name: "it ends in its first header", tar: keep(func(*bundleTar) int { return 100 }), want: fails(4, "truncated", nothing)},
	{name: "it ends in the middle", tar: keep(func(b *bundleTar) int { return len(b.data) / 2 }), want: fails(4, "truncated", nothing)},
	{name: "the last byte is missing", tar: keep(func(b *bundleTar) int { return len(b.data) - 1 }), want: fails(4, "truncated", nothing)},
	{name: "the end of the archive is missing", tar: keep(func(b *bundleTar) int { return len(b.data) - 1024 }), want: fails(4, "truncated", nothing)},
	{name: "a bit is wrong in the lock", tar: func(b *bundleTar) []byte { return b.flipIn(b.lock) }, want: fails(4, "the lock: its sha256 is", nothing)},
	{name: "a bit is wrong in a manifest", tar: func(b *bundleTar) []byte { return b.flipIn(b.manifest) }, want: fails(4, "manifest 1 of the image index: its sha256 is", nothing)},
	{name: "a bit is wrong in a plugin", tar: func(b *bundleTar) []byte { return b.flipIn(b.archive) }, want: fails(4, "its sha256 is", nothing), except: unread("list", "diff", "values")},
	{name: "a bit is wrong in a header", tar: func(b *bundleTar) []byte { return b.flip(b.member(b.archive).start - 512 + 20) }, want: fails(4, "header", nothing)},
	{
		name: "a bit is wrong between files", want: fails(4, "the padding", nothing),
		tar: func(b *bundleTar) []byte { m := b.member(b.lock); return b.flip(m.start + m.size) },
	},
	{name: "a bit is wrong in the digest in index.json", tar: func(b *bundleTar) []byte { return b.flipAfter("index.json", "sha256:") }, want: fails(5, "is missing", nothing)},
	{
		name: "bytes follow its end", want: fails(4, "after the end of the tar file", nothing),
		tar: func(b *bundleTar) []byte { return append(bytes.Clone(b.data), "surplus"...) },
	},
	{name: "a plugin is missing", directory: inDirectory(aPlugin, lost), want: fails(5, "is missing", nothing)},
	{name: "a plugin is cut off", directory: inDirectory(aPlugin, half), want: fails(4, "bytes, but should have", nothing)},
	{name: "a plugin is empty", directory: inDirectory(aPlugin, nothingOf), want: fails(4, "0 bytes, but should have", nothing)},
	{name: "a byte follows a plugin", directory: inDirectory(aPlugin, longer), want: fails(4, "bytes, but should have", nothing)},
	{name: "a bit is wrong in a plugin", directory: inDirectory(aPlugin, flipped), want: fails(4, "its sha256 is", nothing), except: unread("list", "diff", "values")},
	{name: "a bit is wrong in the lock", directory: inDirectory(theLock, flipped), want: fails(4, "the lock: its sha256 is", nothing)},
	{name: "the lock is missing", directory: inDirectory(theLock, lost), want: fails(5, "the lock: ", nothing)},
	{name: "a bit is wrong in a manifest", directory: inDirectory(theManifest, flipped), want: fails(4, "manifest 1 of the image index: its sha256 is", nothing)},
	{name: "a manifest is missing", directory: inDirectory(theManifest, lost), want: fails(5, "manifest 1", nothing)},
	{name: "index.json is garbage", directory: inDirectory(indexJSON, noise), want: fails(4, "binary data, not JSON", nothing)},
	{name: "index.json is empty", directory: inDirectory(indexJSON, nothingOf), want: fails(4, "index.json cannot be read: it is empty", nothing)},
}
