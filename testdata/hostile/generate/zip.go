package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/crc32"

	"github.com/klauspost/compress/flate"
)

// member is one of a zip, whose two headers may say different things.
type member struct {
	name, body string
	// mode is of Unix, with the type: 0o100755 is a program.
	mode uint32
	// local is the name in the local header, if another.
	local string
	// size is what the headers say, if not the truth.
	size uint32
	// deflated compresses the body.
	deflated bool
	// shared has the directory name the local header of the member before.
	shared bool
}

func zipOf(all ...member) []byte {
	var data, dir bytes.Buffer
	at := 0
	for _, m := range all {
		body, method := []byte(m.body), uint16(0)
		if m.deflated {
			body, method = deflated(m.body), 8
		}
		// Both headers have these fields.
		fields := func(out *bytes.Buffer, name string) {
			put(out, uint16(20), uint16(0), method, uint16(0), uint16(0x21), crc32.ChecksumIEEE([]byte(m.body)),
				uint32(len(body)), cmp.Or(m.size, uint32(len(m.body))), uint16(len(name)), uint16(0))
		}
		if !m.shared {
			at = data.Len()
			name := cmp.Or(m.local, m.name)
			data.WriteString("PK\x03\x04")
			fields(&data, name)
			data.WriteString(name)
			data.Write(body)
		}
		dir.WriteString("PK\x01\x02")
		dir.Write([]byte{20, 3}) // made on Unix
		fields(&dir, m.name)
		put(&dir, uint16(0), uint16(0), uint16(0), cmp.Or(m.mode, 0o100755)<<16, uint32(at))
		dir.WriteString(m.name)
	}
	return zipEnd(data.Bytes(), dir.Bytes(), len(all))
}

// zipEnd puts a zip together of its members and its directory.
func zipEnd(data, dir []byte, entries int) []byte {
	var end bytes.Buffer
	end.WriteString("PK\x05\x06")
	put(&end, uint16(0), uint16(0), uint16(entries), uint16(entries), uint32(len(dir)), uint32(len(data)), uint16(0))
	return bytes.Join([][]byte{data, dir, end.Bytes()}, nil)
}

func put(out *bytes.Buffer, values ...any) {
	for _, v := range values {
		check(binary.Write(out, binary.LittleEndian, v))
	}
}

func deflated(body string) []byte {
	var out bytes.Buffer
	w := must(flate.NewWriter(&out, flate.BestCompression))
	_ = must(w.Write([]byte(body)))
	check(w.Close())
	return out.Bytes()
}
