package main

import (
	"bytes"
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
		h := fields{crc: crc32.ChecksumIEEE([]byte(m.body)), method: method, packed: uint32(len(body)), size: uint32(len(m.body))}
		if m.size != 0 {
			h.size = m.size
		}
		if !m.shared {
			at = data.Len()
			name := m.name
			if m.local != "" {
				name = m.local
			}
			data.WriteString("PK\x03\x04")
			h.write(&data, name)
			data.WriteString(name)
			data.Write(body)
		}
		dir.WriteString("PK\x01\x02")
		dir.Write([]byte{20, 3}) // made on Unix
		h.write(&dir, m.name)
		mode := m.mode
		if mode == 0 {
			mode = 0o100755
		}
		put(&dir, uint16(0), uint16(0), uint16(0), mode<<16, uint32(at))
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

// fields are those that both headers have.
type fields struct {
	method            uint16
	crc, packed, size uint32
}

func (h fields) write(out *bytes.Buffer, name string) {
	put(out, uint16(20), uint16(0), h.method, uint16(0), uint16(0x21), h.crc, h.packed, h.size, uint16(len(name)), uint16(0))
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
