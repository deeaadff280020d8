package gunzip

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
)

// errCorrupt is a stream that no encoder writes.
var errCorrupt = errors.New("the deflate stream is corrupt")

// Sizes, in bytes, of an inflater's output buffer.
const (
	history = 32 << 10 // how far back a match may lie (RFC 1951, 3.2.5)
	// step is more than one turn of [inflater.fast] writes: three literals and a match, which is
	// written in words.
	step    = 288
	outSize = history + 128<<10 + step
)

// inflater decodes deflate (RFC 1951). It reads eight bytes at a time as long as there are so many, and
// looks up most symbols in one table.
type inflater struct {
	in *bufio.Reader
	// bits has the next n bits of the stream, the first one lowest. Between two calls of fast,
	// n is below 8 after a symbol, and what is above n is zero.
	bits uint64
	n    uint
	// out[low:pos] is decoded, and out[read:pos] not yet read. No match reaches below low.
	out            [outSize]byte
	low, read, pos int
	// final says that the current block is the last. Block decodes it, as far as there is room; it
	// is nil between blocks.
	final bool
	block func() error
	// stored is how much is left of a block that is not compressed.
	stored int
	err    error

	// A code is complete. So there are two symbols at least to every part for long codes.
	literals [1<<literalBits + maxLiterals/2<<(maxCode-literalBits)]symbol
	matches  [1<<matchBits + maxMatches/2<<(maxCode-matchBits)]symbol
	lengths  [maxLiterals + maxMatches]uint8
}

// reset begins a stream.
func (f *inflater) reset(in *bufio.Reader) {
	f.in, f.bits, f.n, f.low, f.read, f.pos, f.final, f.block, f.err = in, 0, 0, 0, 0, 0, false, nil, nil
}

func (f *inflater) Read(p []byte) (int, error) {
	for f.read == f.pos {
		if f.err != nil {
			return 0, f.err
		}
		f.err = f.decode()
	}
	n := copy(p, f.out[f.read:f.pos])
	f.read += n
	return n, nil
}

// decode goes on until the buffer is full or a block ends. All that was decoded before was read.
func (f *inflater) decode() error {
	if f.pos > history {
		shift := f.pos - history
		copy(f.out[:], f.out[shift:f.pos])
		f.low, f.pos = max(0, f.low-shift), history
		f.read = f.pos
	}
	for f.pos <= outSize-step {
		if f.block == nil {
			if f.final {
				return io.EOF
			}
			if err := f.header(); err != nil {
				return err
			}
		}
		if err := f.block(); err != nil {
			return err
		}
	}
	return nil
}

// need makes at least so many bits available.
func (f *inflater) need(n uint) error {
	for f.n < n {
		b, err := f.in.ReadByte()
		if err != nil {
			return noEOF(err)
		}
		f.bits |= uint64(b) << f.n
		f.n += 8
	}
	return nil
}

func (f *inflater) take(n uint) (uint, error) {
	if err := f.need(n); err != nil {
		return 0, err
	}
	v := f.bits & (1<<n - 1)
	f.bits >>= n
	f.n -= n
	return uint(v), nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// header reads that of a block.
func (f *inflater) header() error {
	v, err := f.take(3)
	if err != nil {
		return err
	}
	f.final = v&1 != 0
	switch v >> 1 {
	case 0:
		f.block = f.copyStored
		f.bits, f.n = 0, 0 // of a byte, the rest is not used
		v, err := f.take(32)
		if err == nil && v&0xffff != ^v>>16&0xffff {
			err = errCorrupt
		}
		f.stored = int(v & 0xffff)
		return err
	case 1:
		f.block = f.symbols
		return f.fixed()
	case 2:
		f.block = f.symbols
		return f.dynamic()
	}
	return errCorrupt
}

func (f *inflater) copyStored() error {
	if f.stored == 0 {
		f.block = nil
		return nil
	}
	n, err := f.in.Read(f.out[f.pos:min(f.pos+f.stored, outSize)])
	f.pos += n
	f.stored -= n
	if f.stored == 0 {
		return nil // what is wrong comes again
	}
	return noEOF(err)
}

// fixed makes the tables that the standard has (3.2.6).
func (f *inflater) fixed() error {
	for i := range f.lengths[:maxLiterals] {
		f.lengths[i] = 8
		if i >= 144 && i < 256 {
			f.lengths[i] = 9
		} else if i >= 256 && i < 280 {
			f.lengths[i] = 7
		}
	}
	build(f.literals[:], literalBits, f.lengths[:maxLiterals], &literalSymbols)
	for i := range f.lengths[:maxMatches] {
		f.lengths[i] = 5
	}
	build(f.matches[:], matchBits, f.lengths[:maxMatches], &matchSymbols)
	return nil
}

// order is that in which the lengths of codes for lengths come (3.2.7).
var order = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// dynamic reads the tables of a block.
func (f *inflater) dynamic() error {
	v, err := f.take(14)
	if err != nil {
		return err
	}
	literals, matches, codes := int(v&31)+257, int(v>>5&31)+1, int(v>>10)+4
	if literals > 286 || matches > 30 {
		return errCorrupt
	}
	clear(f.lengths[:])
	for _, i := range order[:codes] {
		n, err := f.take(3)
		if err != nil {
			return err
		}
		f.lengths[i] = uint8(n)
	}
	// The table for lengths is in the place of that for matches.
	if !build(f.matches[:], matchBits, f.lengths[:len(order)], &lengthSymbols) {
		return errCorrupt
	}
	for i := 0; i < literals+matches; {
		s, err := f.symbol(f.matches[:], matchBits)
		if err != nil {
			return err
		}
		again, length := 1, uint8(s.value())
		if length > 15 {
			extra, err := f.take(s.extra())
			if err != nil {
				return err
			}
			again = int(extra) + 3
			switch {
			case length == 18:
				again, length = again+8, 0
			case length == 17:
				length = 0
			case i == 0:
				return errCorrupt
			default:
				length = f.lengths[i-1]
			}
		}
		if i+again > literals+matches {
			return errCorrupt
		}
		for range again {
			f.lengths[i] = length
			i++
		}
	}
	if !build(f.literals[:], literalBits, f.lengths[:literals], &literalSymbols) ||
		!build(f.matches[:], matchBits, f.lengths[literals:literals+matches], &matchSymbols) {
		return errCorrupt
	}
	return nil
}

// symbol decodes one symbol, bit by bit if need be: there may be no byte behind it.
func (f *inflater) symbol(table []symbol, tableBits uint) (symbol, error) {
	for {
		s := table[f.bits&(1<<tableBits-1)]
		if s&long != 0 {
			s = table[uint64(s.value())+f.bits>>tableBits&(1<<s.extra()-1)]
		}
		if s.code() > f.n {
			if err := f.need(f.n + 1); err != nil {
				return 0, err
			}
			continue
		}
		if s&invalid != 0 {
			return 0, errCorrupt
		}
		_, err := f.take(s.code())
		return s, err
	}
}

// symbols decodes literals and matches.
func (f *inflater) symbols() error {
	if err := f.fast(); err != nil || f.block == nil || f.pos > outSize-step {
		return err
	}
	s, err := f.symbol(f.literals[:], literalBits)
	switch {
	case err != nil:
		return err
	case s&literal != 0:
		f.out[f.pos] = byte(s.value())
		f.pos++
		return nil
	case s&end != 0:
		f.block = nil
		return nil
	}
	length, err := f.take(s.extra())
	if err != nil {
		return err
	}
	d, err := f.symbol(f.matches[:], matchBits)
	if err != nil {
		return err
	}
	distance, err := f.take(d.extra())
	if err != nil {
		return err
	}
	return f.match(int(length)+s.value(), int(distance)+d.value())
}

func (f *inflater) match(length, distance int) error {
	if distance > f.pos-f.low {
		return errCorrupt
	}
	for range length {
		f.out[f.pos] = f.out[f.pos-distance]
		f.pos++
	}
	return nil
}

// fast is symbols as long as there are bytes enough that nothing need be asked twice.
func (f *inflater) fast() error {
	const word, turn = 8, 3 * 8 // turn is what one turn reads at most, in bytes
	if f.in.Buffered() < turn {
		_, _ = f.in.Peek(turn) // what is wrong comes again
	}
	in, _ := f.in.Peek(f.in.Buffered())
	buffered, n, at, pos, low, out := f.bits, f.n, 0, f.pos, f.low, &f.out
	var err error
	for at <= len(in)-turn && pos <= outSize-step {
		buffered |= binary.LittleEndian.Uint64(in[at:]) << (n & 63)
		at += int((63 - n) >> 3)
		n |= 56
		s := f.literals[buffered&(1<<literalBits-1)]
		if s&literal != 0 {
			buffered >>= s.code() & 63
			n -= s.code()
			out[pos] = byte(s >> valueShift)
			pos++
			s = f.literals[buffered&(1<<literalBits-1)]
			if s&literal != 0 {
				buffered >>= s.code() & 63
				n -= s.code()
				out[pos] = byte(s >> valueShift)
				pos++
				s = f.literals[buffered&(1<<literalBits-1)]
				if s&literal != 0 {
					buffered >>= s.code() & 63
					n -= s.code()
					out[pos] = byte(s >> valueShift)
					pos++
					continue
				}
			}
			buffered |= binary.LittleEndian.Uint64(in[at:]) << (n & 63)
			at += int((63 - n) >> 3)
			n |= 56
		}
		if s&(long|end|invalid) != 0 {
			if s&long != 0 {
				s = f.literals[uint64(s.value())+buffered>>literalBits&(1<<s.extra()-1)]
			}
			if s&invalid != 0 {
				err = errCorrupt
				break
			}
			buffered >>= s.code() & 63
			n -= s.code()
			if s&literal != 0 {
				out[pos] = byte(s >> valueShift)
				pos++
				continue
			}
			if s&end != 0 {
				f.block = nil
				break
			}
		} else {
			buffered >>= s.code() & 63
			n -= s.code()
		}
		// At least 41 bits are left, and a match takes 5 and 28 more.
		length := s.value() + int(buffered&(1<<s.extra()-1))
		buffered >>= s.extra() & 63
		n -= s.extra()
		s = f.matches[buffered&(1<<matchBits-1)]
		if s&(long|invalid) != 0 {
			if s&long != 0 {
				s = f.matches[uint64(s.value())+buffered>>matchBits&(1<<s.extra()-1)]
			}
			if s&invalid != 0 {
				err = errCorrupt
				break
			}
		}
		buffered >>= s.code() & 63
		n -= s.code()
		distance := s.value() + int(buffered&(1<<s.extra()-1))
		buffered >>= s.extra() & 63
		n -= s.extra()
		from, to := pos-distance, pos+length
		if from < low {
			err = errCorrupt
			break
		}
		if distance >= word {
			// Words may reach beyond the end of the match. What is there is written later.
			for {
				source, target := out[from:from+2*word], out[pos:pos+2*word]
				binary.LittleEndian.PutUint64(target, binary.LittleEndian.Uint64(source))
				binary.LittleEndian.PutUint64(target[word:], binary.LittleEndian.Uint64(source[word:]))
				if pos, from = pos+2*word, from+2*word; pos >= to {
					break
				}
			}
			pos = to
			continue
		}
		for ; pos < to; pos, from = pos+1, from+1 {
			out[pos] = out[from]
		}
	}
	at -= int(n >> 3)
	n &= 7
	f.bits, f.n, f.pos = buffered&(1<<n-1), n, pos
	_, _ = f.in.Discard(at) // it is buffered
	return err
}

// symbol is what a code stands for: how many bits the code has, how many more follow it, what their number
// is added to, and flags.
type symbol uint32

const (
	literal symbol = 1 << 31
	end     symbol = 1 << 15
	// long is the beginning of a code with more bits than the table has: value is where the part of the
	// table for these codes is, and extra how many more bits it has.
	long       symbol = 1 << 14
	invalid    symbol = 1 << 13
	valueShift        = 16
	extraShift        = 8
)

func (s symbol) code() uint  { return uint(s & 31) }
func (s symbol) extra() uint { return uint(s >> extraShift & 31) }
func (s symbol) value() int  { return int(s >> valueShift & 0x7fff) }

const (
	maxCode                 = 15 // the longest code, in bits
	maxLiterals, maxMatches = 288, 32
	// literalBits and matchBits are how many bits of a code are looked up at once. Longer codes take a
	// second lookup.
	literalBits, matchBits = 11, 8
)

// literalSymbols, matchSymbols and lengthSymbols are the symbols of the standard (3.2.5, 3.2.7), without codes.
var literalSymbols, matchSymbols, lengthSymbols = func() (literals, matches, lengths [maxLiterals]symbol) {
	for i := range literals {
		literals[i], matches[i], lengths[i] = invalid, invalid, symbol(i)<<valueShift
		if i < 256 {
			literals[i] = literal | symbol(i)<<valueShift
		}
	}
	literals[256] = end
	next := symbol(3)
	for i := range symbol(28) {
		extra := max(0, int(i)/4-1)
		literals[257+i] = next<<valueShift | symbol(extra)<<extraShift
		next += 1 << extra
	}
	literals[285] = 258 << valueShift
	next = 1
	for i := range symbol(30) {
		extra := max(0, int(i)/2-1)
		matches[i] = next<<valueShift | symbol(extra)<<extraShift
		next += 1 << extra
	}
	lengths[16] |= 2 << extraShift
	lengths[17] |= 3 << extraShift
	lengths[18] |= 7 << extraShift
	return literals, matches, lengths
}()

// build makes a table for codes of such lengths, and reports whether there are such codes. A code of one bit may
// be alone, and there may be none.
func build(table []symbol, tableBits uint, lengths []uint8, symbols *[maxLiterals]symbol) bool {
	var count, next [maxCode + 1]uint
	longest := uint(0)
	for _, l := range lengths {
		count[l]++
		longest = max(longest, uint(l))
	}
	count[0] = 0
	code := uint(0)
	for l := 1; l <= maxCode; l++ {
		code = (code + count[l-1]) << 1
		next[l] = code
	}
	all := next[longest] + count[longest]
	if all != 1<<longest && longest > 0 && (longest > 1 || all != 1) {
		return false
	}
	main := table[:1<<tableBits]
	if longest == 0 || all == 1 || longest > tableBits {
		for i := range main {
			main[i] = invalid | maxCode
		}
	}
	free := symbol(len(main))
	for i, length := range lengths {
		l := uint(length)
		if l == 0 {
			continue
		}
		s := symbols[i] | symbol(l)
		code := uint(bits.Reverse16(uint16(next[l]))) >> (16 - l)
		next[l]++
		if l <= tableBits {
			for j := code; j < uint(len(main)); j += 1 << l {
				main[j] = s
			}
			continue
		}
		more := longest - tableBits
		first := &main[code&(1<<tableBits-1)]
		if *first&long == 0 {
			*first = long | free<<valueShift | symbol(more)<<extraShift
			free += 1 << more
		}
		part := table[first.value():][:1<<more]
		for j := code >> tableBits; j < uint(len(part)); j += 1 << (l - tableBits) {
			part[j] = s
		}
	}
	return true
}
