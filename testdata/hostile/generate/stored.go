package main

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// xzStored makes an xz file of a single block that is not compressed, up to 64 KiB
// of it, with a dictionary whose size is encoded as this (xz file format, section
// 5.3.1).
func xzStored(data []byte, dictionary byte) []byte {
	flags := []byte{0, 1} // the check is a CRC32
	header := []byte{2, 0, 0x21, 1, dictionary, 0, 0, 0}
	chunk := bytes.Join([][]byte{{1}, binary.BigEndian.AppendUint16(nil, uint16(len(data)-1)), data, {0}}, nil)
	size := len(header) + 4 + len(chunk) + 4
	records := binary.AppendUvarint(binary.AppendUvarint([]byte{0, 1}, uint64(size)), uint64(len(data)))
	records = append(records, make([]byte, -len(records)&3)...)
	end := append(binary.LittleEndian.AppendUint32(nil, uint32(len(records))/4), flags...)
	return bytes.Join([][]byte{
		[]byte("\xfd7zXZ\x00"), flags, crc(flags),
		header, crc(header), chunk, make([]byte, -len(chunk)&3), crc(data),
		records, crc(records),
		crc(end), end, []byte("YZ"),
	}, nil)
}

func crc(data []byte) []byte { return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(data)) }

// zstdStored makes a zstd file of a single block that is not compressed, up to
// 128 KiB of it, with a window of 2^log bytes.
func zstdStored(data []byte, log byte) []byte {
	last := binary.LittleEndian.AppendUint32(nil, uint32(len(data))<<3|1)[:3]
	return bytes.Join([][]byte{{0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3}, last, data}, nil)
}
