package gunzip_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/botkube-mirror/botkube-mirror/internal/content/gunzip"
)

func read(r io.Reader) ([]byte, error) {
	var z gunzip.Reader
	if err := z.Reset(bufio.NewReader(r)); err != nil {
		return nil, err
	}
	return io.ReadAll(&z)
}

// standard reads one file as the standard library does, and then compares the end.
func standard(data []byte) ([]byte, error) {
	in := bufio.NewReader(bytes.NewReader(data))
	var all []byte
	z, err := gzip.NewReader(in)
	for err == nil {
		z.Multistream(false)
		var content []byte
		content, err = io.ReadAll(z)
		all = append(all, content...)
		if err != nil {
			break
		}
		switch start, _ := in.Peek(2); {
		case len(start) == 0 || start[0] == 0:
			return all, nil
		case !bytes.Equal(start, []byte{0x1f, 0x8b}):
			return all, gunzip.ErrTrailing
		}
		err = z.Reset(in)
	}
	return all, err
}

// contents are what compresses in all kinds of ways.
func contents() map[string][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 200<<10)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	skewed := make([]byte, 100<<10)
	for i := range skewed {
		skewed[i] = byte(random.ExpFloat64() * 9) // codes of all lengths
	}
	var words bytes.Buffer
	for words.Len() < 300<<10 {
		at := random.IntN(len(noise) - 300)
		words.Write(noise[at : at+1+random.IntN(300)])
		if back := 1 + random.IntN(40<<10); back < words.Len() {
			words.Write(words.Bytes()[words.Len()-back:][:min(back, random.IntN(400))])
		}
		words.WriteString(strings.Repeat(string(noise[at:at+1+random.IntN(9)]), random.IntN(90)))
	}
	return map[string][]byte{
		"nothing": nil, "a byte": {7}, "text": []byte("some text, some text, some more text"), "zeros": make([]byte, 1<<20),
		"noise": noise, "skewed": skewed, "words": words.Bytes(),
	}
}

func pack(tb testing.TB, content []byte, level int) []byte {
	tb.Helper()
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, level)
	if err == nil {
		w.Name, w.Comment, w.Extra = "name", "comment", []byte("extra")
		_, err = w.Write(content)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func TestReader(t *testing.T) {
	t.Parallel()
	for name, content := range contents() {
		for _, level := range []int{gzip.HuffmanOnly, gzip.NoCompression, gzip.BestSpeed, gzip.BestCompression} {
			t.Run(fmt.Sprintf("%s, level %d", name, level), func(t *testing.T) {
				packed := pack(t, content, level)
				// The second member must not reach back into the first one. Tapes are filled up with zeros.
				packed = append(append(packed, packed...), make([]byte, 9)...)
				want := append(bytes.Clone(content), content...)
				for _, r := range []io.Reader{bytes.NewReader(packed), iotest.HalfReader(bytes.NewReader(packed)), iotest.DataErrReader(bytes.NewReader(packed))} {
					if got, err := read(r); err != nil || !bytes.Equal(got, want) {
						t.Fatalf("got %d bytes, not %d, and %v", len(got), len(want), err)
					}
				}
			})
		}
	}
}

// TestDamage takes bytes away, and changes them.
func TestDamage(t *testing.T) {
	t.Parallel()
	text := []byte(strings.Repeat("what an archive holds, ", 4) + "and what not: \x00\x01\x02")
	for _, level := range []int{gzip.HuffmanOnly, gzip.NoCompression, gzip.BestCompression} {
		packed := pack(t, text, level)
		for i := range packed {
			want := io.ErrUnexpectedEOF
			if i == 0 {
				want = io.EOF
			}
			if _, err := read(bytes.NewReader(packed[:i])); err != want {
				t.Fatalf("level %d, %d of %d bytes: %v", level, i, len(packed), err)
			}
			for bit := range 8 {
				packed[i] ^= 1 << bit
				same(t, packed)
				packed[i] ^= 1 << bit
			}
		}
		if got, err := read(bytes.NewReader(append(packed, "more"...))); err != gunzip.ErrTrailing || !bytes.Equal(got, text) {
			t.Errorf("with more: %q, %v", got, err)
		}
	}
	broken := errors.New("broken")
	if _, err := read(io.MultiReader(bytes.NewReader(pack(t, text, 6)[:70]), iotest.ErrReader(broken))); err != broken {
		t.Errorf("a reader's error became %v", err)
	}
}

// same compares with the standard library: what is taken, and what comes out.
func same(tb testing.TB, packed []byte) {
	tb.Helper()
	want, wantErr := standard(packed)
	got, err := read(bytes.NewReader(packed))
	if (err == nil) != (wantErr == nil) || (err == gunzip.ErrTrailing) != (wantErr == gunzip.ErrTrailing) {
		tb.Fatalf("%x: got %v, not %v", packed, err, wantErr)
	}
	if err == nil && !bytes.Equal(got, want) {
		tb.Fatalf("%x: got %x, not %x", packed, got, want)
	}
}

// wrap makes a gzip file of a deflate stream. The checksum is right, as far as the stream can be read.
func wrap(stream []byte) []byte {
	content, _ := io.ReadAll(flate.NewReader(bytes.NewReader(stream)))
	packed := append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0}, stream...)
	packed = binary.LittleEndian.AppendUint32(packed, crc32.ChecksumIEEE(content))
	return binary.LittleEndian.AppendUint32(packed, uint32(len(content)))
}

// FuzzInflate compares with the standard library. Bytes are fed twice: as a file, and as its stream.
func FuzzInflate(f *testing.F) {
	for _, content := range contents() {
		for level := gzip.HuffmanOnly; level <= gzip.BestCompression; level++ {
			packed := pack(f, content[:min(len(content), 3000)], level)
			f.Add(packed)
			f.Add(packed[32 : len(packed)-8])
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		same(t, data)
		same(t, wrap(data))
	})
}

// TestStreams changes streams at random, as far as the default tier has time.
func TestStreams(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for _, content := range contents() {
		for _, level := range []int{gzip.HuffmanOnly, gzip.BestSpeed, gzip.BestCompression} {
			packed := pack(t, content[:min(len(content), 2000)], level)
			stream := packed[32 : len(packed)-8]
			for range 30 {
				changed := bytes.Clone(stream)
				for range 1 + random.IntN(3) {
					changed[random.IntN(len(changed))] = byte(random.Uint32())
				}
				same(t, wrap(changed))
			}
		}
	}
}

func BenchmarkReader(b *testing.B) {
	content := contents()["words"]
	packed := pack(b, content, gzip.DefaultCompression)
	var z gunzip.Reader
	in := bufio.NewReaderSize(nil, 64<<10)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		in.Reset(bytes.NewReader(packed))
		if err := z.Reset(in); err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, &z); err != nil {
			b.Fatal(err)
		}
	}
}
