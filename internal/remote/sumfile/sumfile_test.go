package sumfile

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/botkube-mirror/botkube-mirror/internal/botkube/agent"
)

var (
	a256 = strings.Repeat("a1", 32)
	b256 = strings.Repeat("b2", 32)
	a512 = strings.Repeat("c3", 64)
	b512 = strings.Repeat("d4", 64)
	md5  = strings.Repeat("e5", 16)
	sha1 = strings.Repeat("f6", 20)
)

// path is that of the artifact which the files are about.
const path = "/release/v1/linux/amd64/tool"

// pairs writes digits as old versions of certutil do.
func pairs(digits string) string {
	var out []string
	for i := 0; i < len(digits); i += 2 {
		out = append(out, digits[i:i+2])
	}
	return strings.Join(out, " ")
}

// printMD writes digits as gpg --print-md does: in groups of eight, on lines that
// are as long as fits.
func printMD(name, digits string) string {
	out := name + ": "
	for i := 0; i < len(digits); i += 8 {
		if i > 0 && i%32 == 0 {
			out += "\n" + strings.Repeat(" ", len(name)+2)
		}
		out += strings.ToUpper(digits[i:i+8]) + " "
	}
	return out + "\n"
}

func windows(s string) string {
	out := binary.LittleEndian.AppendUint16(nil, 0xFEFF)
	for _, unit := range utf16.Encode([]rune(strings.ReplaceAll(s, "\n", "\r\n"))) {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return string(out)
}

const mark = "\ufeff"

// nested is a digest in JSON so many values deep.
func nested(begin, end string, depth int) string {
	return strings.Repeat(begin, depth) + `{"sha256": "` + a256 + `"}` + strings.Repeat(end, depth)
}

// forms are what tools write.
var forms = []struct {
	name   string
	data   string
	shared bool
	want   []string
}{
	{"bare", a256, false, []string{a256}},
	{"bare with a newline", a256 + "\n", false, []string{a256}},
	{"upper case", strings.ToUpper(a256) + "\r\n", false, []string{a256}},
	{"sha256sum", a256 + "  tool\n", false, []string{a256}},
	{"another name, alone", a256 + "  build/out/tool-tmp\n", false, []string{a256}},
	{"a tabulator", b256 + "\tother\n" + a256 + "\ttool\n", false, []string{a256}},
	{"sha256sum -b", b256 + " *other\n" + a256 + " *tool\n", false, []string{a256}},
	{"shasum -U", b256 + " ^other\n" + a256 + " ^tool\n", true, []string{a256}},
	{"shasum -p", a256 + " ?tool\n", true, []string{a256}},
	{"a path", b256 + "  x/other\n" + a256 + "  ./dist/tool\n", true, []string{a256}},
	{"a path of Windows", a256 + "  .\\dist\\tool\n" + b256 + "  .\\dist\\other\n", true, []string{a256}},
	{"the path that is most alike", b256 + "  darwin/amd64/tool\n" + a256 + "  linux/amd64/tool\n", true, []string{a256}},
	{"an escaped name", `\` + b256 + `  a\nb` + "\n" + `\` + a256 + `  dist\\x/tool` + "\n", true, []string{a256}},
	{"a byte order mark", mark + a256 + "  tool\n" + b256 + "  other\n", true, []string{a256}},
	{"a byte order mark, alone", mark + a256, false, []string{a256}},
	{"CR alone", b256 + "  other\r" + a256 + "  tool\r", true, []string{a256}},
	{"PowerShell's list with CR CR LF", "Algorithm : SHA256\r\r\nHash      : " + a256 + "\r\r\nPath      : C:\\tool\r\r\n", true, []string{a256}},
	{"CR LF", mark + b256 + "  other\r\n" + a256 + "  tool\r\n", true, []string{a256}},
	{"sha512sum", a512 + "  tool\n", false, []string{a512}},
	{"several algorithms", md5 + "  tool\n" + sha1 + "  tool\n" + a256 + "  tool\n" + a512 + "  tool\n", true, []string{a256, a512}},
	{"several algorithms in sections", "SHA256:\n" + a256 + "  tool\n" + b256 + "  other\n\nMD5:\n" + md5 + "  tool\n", true, []string{a256}},
	{"several algorithms of one file", "MD5: " + md5 + "\nSHA1: " + sha1 + "\nSHA256: " + a256 + "\nSHA-512: " + a512 + "\n", false, []string{a256, a512}},
	{"comments", "# " + b256 + "  tool\n" + a256 + "  tool\n", true, []string{a256}},
	{"a signed list", "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" + a256 + "  tool\n" + b256 + "  other\n-----BEGIN PGP SIGNATURE-----\n\niQIzBAEBCAAdFiEE\n=abcd\n-----END PGP SIGNATURE-----\n", true, []string{a256}},

	{"BSD", "SHA256 (other) = " + b256 + "\nSHA256 (tool) = " + a256 + "\n", true, []string{a256}},
	{"BSD, all algorithms", "MD5 (tool) = " + md5 + "\nSHA512 (tool) = " + a512 + "\nBLAKE2b (tool) = " + b512 + "\n", true, []string{a512}},
	{"BSD, escaped", `\SHA256 (d\\x/tool) = ` + a256 + "\n", true, []string{a256}},
	{"openssl 1", "SHA256(tool)= " + a256 + "\n", false, []string{a256}},
	{"openssl 3", "SHA2-256(other)= " + b256 + "\nSHA2-256(./tool)= " + a256 + "\n", true, []string{a256}},
	{"openssl 3, sha512", "SHA2-512(tool)= " + a512 + "\n", true, []string{a512}},
	{"openssl of its standard input", "SHA2-256(stdin)= " + a256 + "\n", false, []string{a256}},
	{"openssl of other algorithms too", "SHA3-256(tool)= " + b256 + "\nSHA512-256(tool)= " + b256 + "\nHMAC-SHA256(tool)= " + b256 + "\nSHA256(tool)= " + a256 + "\n", false, []string{a256}},
	{"openssl dgst -r", a256 + " *tool\n", true, []string{a256}},
	{"standard input", a256 + "  -\n", false, []string{a256}},
	{"gpg --print-md", printMD("tool", a256), true, []string{a256}},
	{"gpg --print-md, sha512", printMD("other", b512) + printMD("tool", a512), true, []string{a512}},
	{"gpg --print-md of its standard input", printMD("", a256)[2:], false, []string{a256}},
	{"gpg --print-md of its standard input, sha512", printMD("", a512)[2:], false, []string{a512}},
	{"digits in pairs alone", pairs(a256) + "\n", false, []string{a256}},
	{"digits that go on after a tabulator", a512[:80] + "\n\t" + a512[80:] + "\n", false, []string{a512}},
	{"indented digits that go on", "  " + a256[:32] + "\n  " + a256[32:] + "\n", false, []string{a256}},
	{"a name of hexadecimal digits", a256 + "  deadbeef\n", false, []string{a256}},
	{"a name longer than the path", a256 + "  x/" + path + "\n" + b256 + "  tool\n", true, []string{a256}},
	{"a name of one character after a mark", b256 + "  *\n" + a256 + "  tool\n", true, []string{a256}},
	{"openssl of an escaped name", `\SHA256 (amd64\\tool) = ` + a256 + "\nSHA256 (x/tool) = " + b256 + "\n", true, []string{a256}},
	{"gpg --print-mds", "tool:    MD5 = " + pairs(md5) + "\ntool: SHA256 = " + pairs(a256) + "\n", true, []string{a256}},

	{"PowerShell's table", "\nAlgorithm       Hash                                                                   Path\n---------       ----                                                                   ----\nSHA256          " + strings.ToUpper(a256) + "       C:\\build\\tool\n\n", true, []string{a256}},
	{"PowerShell's table in UTF-16", windows("\nAlgorithm       Hash           Path\n---------       ----           ----\nSHA256          " + strings.ToUpper(b256) + "       C:\\a b\\other\nSHA256          " + strings.ToUpper(a256) + "       C:\\a b\\tool\n\n"), true, []string{a256}},
	{"PowerShell's table in a narrow window", "\nAlgorithm       Hash\n---------       ----\nSHA256          " + strings.ToUpper(a256) + "       C:\\build\\a very lo...\n", false, []string{a256}},
	{"PowerShell's list", windows("\n\nAlgorithm : SHA256\nHash      : " + strings.ToUpper(a256) + "\nPath      : C:\\build\\tool\n\nAlgorithm : SHA256\nHash      : " + strings.ToUpper(b256) + "\nPath      : C:\\build\\other\n\n\n"), true, []string{a256}},
	{"PowerShell's list, broken lines", "Algorithm : SHA512\nHash      : " + a512[:80] + "\n            " + a512[80:] + "\nPath      : C:\\a long\n            \\path\\tool\n", true, []string{a512}},
	{"PowerShell's list of MD5 too", "Algorithm : MD5\nHash      : " + md5 + "\nPath      : C:\\tool\n\nAlgorithm : SHA256\nHash      : " + a256 + "\nPath      : C:\\tool\n", true, []string{a256}},
	{"PowerShell's hash alone", windows(strings.ToUpper(a256) + "\n"), false, []string{a256}},
	{"PowerShell's JSON", "[\n  {\"Algorithm\": \"SHA256\", \"Hash\": \"" + a256 + "\", \"Path\": \"C:\\\\b\\\\tool\"},\n  {\"Algorithm\": \"SHA256\", \"Hash\": \"" + b256 + "\", \"Path\": \"C:\\\\b\\\\other\"}\n]", true, []string{a256}},
	{"PowerShell's CSV", "#TYPE Microsoft.PowerShell.Commands.FileHashInfo\n\"Algorithm\",\"Hash\",\"Path\"\n\"SHA256\",\"" + a256 + "\",\"C:\\b\\tool\"\n\"SHA256\",\"" + b256 + "\",\"C:\\b\\other\"\n", true, []string{a256}},
	{"certutil", "SHA256 hash of tool:\r\n" + a256 + "\r\nCertUtil: -hashfile command completed successfully.\r\n", true, []string{a256}},
	{"certutil with a path", "SHA512 hash of C:\\my build\\tool:\r\n" + a512 + "\r\nCertUtil: -hashfile command completed successfully.\r\n", true, []string{a512}},
	{"certutil of Windows 7", "SHA256 hash of file tool:\r\n" + pairs(a256) + "\r\nCertUtil: -hashfile command completed successfully.\r\n", true, []string{a256}},
	{"certutil in German", "SHA256-Hash von tool:\r\n" + a256 + "\r\nCertUtil: -hashfile-Befehl wurde erfolgreich ausgef\xfchrt.\r\n", false, []string{a256}},
	{"7-Zip", "SHA256                                                                    Size  Name\n---------------------------------------------------------------- -------------  ------------\n" + a256 + "             5  tool\n---------------------------------------------------------------- -------------  ------------\n" + a256 + "             5\n\nSHA256 for data:              " + a256 + "\n\nEverything is Ok\n", false, []string{a256}},

	// Of public reports: docker/compose#7174, openziti/desktop-edge-win#645,
	// PowerShell/PowerShell#26139, mimblewimble/grin-wallet#359, iotaledger/iota#6122.
	{"docker compose v1.25.2", windows(strings.ToUpper(a256) + " *tool\n"), false, []string{a256}},
	{"Ziti Desktop Edge 2.1.16", windows(strings.ToUpper(a256) + "\n\n"), false, []string{a256}},
	{"PowerShell 7.5.2", windows(strings.ToUpper(b256) + " *other\n" + strings.ToUpper(a256) + " *tool\n"), true, []string{a256}},
	{"grin-wallet v3.1.0", "SHA256(/home/vsts/work/1/a/tool)= " + a256 + "\n", false, []string{a256}},
	{"iota v0.10.3", "other " + b256 + "\ntool " + a256 + "\n", true, []string{a256}},

	{"a name first", "tool " + a256 + "\nother " + b256 + "\n", true, []string{a256}},
	{"a name first, with a colon", "other: " + b256 + "\ntool: " + a256 + "\n", true, []string{a256}},
	{"an algorithm before the digest", "sha256:" + a256 + "  tool\n", true, []string{a256}},
	{"subresource integrity", "sha256-oaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaE=\n", false, []string{a256}},

	{"JSON of an algorithm", `{"sha256": "` + a256 + `"}`, false, []string{a256}},
	{"JSON of a name", `{"other": "` + b256 + `", "tool": "` + a256 + `"}`, true, []string{a256}},
	{"JSON of names with algorithms", `{"other": {"sha256": "` + b256 + `"}, "tool": {"md5": "` + md5 + `", "sha256": "` + a256 + `", "sha512": "` + a512 + `"}}`, true, []string{a256, a512}},
	{"JSON of algorithms with names", `{"sha256": {"other": "` + b256 + `", "tool": "` + a256 + `"}}`, true, []string{a256}},
	{"a JSON list", `{"files": [{"filename": "other", "sha256": "` + b256 + `"}, {"filename": "dist/tool", "sha256": "` + a256 + `"}]}`, true, []string{a256}},
	{"JSON whose prefix says more than what is beside it", `{"algorithm": "SHA-512", "digest": "sha256:` + a256 + `"}`, false, []string{a256}},
	{"JSON as deep as is looked", nested("[", "]", maxDepth), false, []string{a256}},
	{"JSON as deep as is looked, in objects", nested(`{"files":`, "}", maxDepth), false, []string{a256}},
	{"JSON as deep as is looked, in names", nested(`{"x":`, "}", maxDepth), false, []string{a256}},
	{"JSON of a prefix", `[{"name": "tool", "digest": "sha256:` + a256 + `", "size": 5}, {"name": "other", "digest": "sha256:` + b256 + `"}]`, true, []string{a256}},
	{"Artifactory", `{"repo": "r", "path": "/x/tool", "downloadUri": "https://h/r/x/tool", "checksums": {"sha1": "` + sha1 + `", "md5": "` + md5 + `", "sha256": "` + a256 + `"}}`, false, []string{a256}},
	{"PyPI", `{"urls": [{"filename": "tool", "digests": {"blake2b_256": "` + b256 + `", "md5": "` + md5 + `", "sha256": "` + a256 + `"}}]}`, true, []string{a256}},
	{"CycloneDX", `{"components": [{"name": "tool", "hashes": [{"alg": "SHA-1", "content": "` + sha1 + `"}, {"alg": "SHA-256", "content": "` + a256 + `"}]}]}`, true, []string{a256}},
	{"SPDX", `{"files": [{"fileName": "./tool", "checksums": [{"algorithm": "SHA256", "checksumValue": "` + a256 + `"}]}]}`, true, []string{a256}},
	{"in-toto", `{"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "tool", "digest": {"sha256": "` + a256 + `"}}, {"name": "other", "digest": {"sha256": "` + b256 + `"}}]}`, true, []string{a256}},
	{"JSON with a byte order mark", mark + `{"sha256": "` + a256 + `"}`, false, []string{a256}},
}

func TestForms(t *testing.T) {
	t.Parallel()
	for _, tt := range forms {
		got, err := Find([]byte(tt.data), path, tt.shared)
		if err != nil || !same(got, tt.want) {
			t.Errorf("%s: %v %v, want %v", tt.name, got, err, tt.want)
		}
	}
}

func same(got []agent.Checksum, want []string) bool {
	if len(got) != len(want) {
		return false
	}
	for _, w := range want {
		found := false
		for _, g := range got {
			found = found || g.Hex == w && (g.Algorithm == "sha256") == (len(w) == 64)
		}
		if !found {
			return false
		}
	}
	return true
}

// TestContradiction has both digests come out of a list that names a file twice:
// then they disagree.
func TestContradiction(t *testing.T) {
	t.Parallel()
	got, err := Find([]byte(a256+"  tool\n"+b256+"  tool\n"), path, true)
	if err != nil || !same(got, []string{a256, b256}) {
		t.Errorf("%v %v", got, err)
	}
}

// none are answers that are no checksum files.
var none = map[string]string{
	"":                          "empty",
	"\ufeff\r\n":                "empty",
	"404 page not found\n":      "text",
	"Not Found":                 "text",
	"<!DOCTYPE html><p>Sign in": "a web page",
	`{"errors": [{"status": 404, "message": "File not found."}]}`:                               "JSON",
	`{"message":"Not Found","documentation_url":"https://docs.github.com/rest","status":"404"}`: "JSON",
	"null [": "text",
	`[]`:     "JSON",
	"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>": "an XML document",
	"\x1f\x8b\x08\x00": "gzip-compressed data",
	`{"error": "not found", "traceId": "` + md5 + `"}`:                  "JSON",
	nested("[", "]", maxDepth+1):                                        "JSON",
	nested(`{"files":`, "}", maxDepth+1):                                "JSON",
	nested(`{"x":`, "}", maxDepth+1):                                    "JSON",
	`{"hash": "abc"}`:                                                   "JSON",
	`{"md5": "abc"}`:                                                    "JSON",
	"0 " + strings.Repeat("a", 15) + "\n":                               "text",
	"request 5f2b9e3c-1d2a-4c3b-9e8f-0a1b2c3d4e5f failed\nDate: 2026\n": "text",
}

func TestNone(t *testing.T) {
	t.Parallel()
	for data, want := range none {
		for _, shared := range []bool{false, true} {
			got, err := Find([]byte(data), path, shared)
			if e, ok := errors.AsType[*NoneError](err); !ok || e.What != want {
				t.Errorf("%.40q: %v %v, want none but %s", data, got, err, want)
			}
		}
	}
}

// unusable are checksum files that give no digest to compare with.
var unusable = map[string]struct{ data, want string }{
	"several without the name":     {a256 + "  x\n" + b256 + "  y\n", `it lists several files, but not "tool"`},
	"several of one name":          {a256 + "  x/tool\n" + b256 + "  y/tool\n", `it lists several files called "tool", with different digests`},
	"md5":                          {md5 + "  tool\n", "it has digests of other algorithms than sha256 and sha512 only"},
	"sha1, as certutil by default": {"SHA1 hash of tool:\r\n" + sha1 + "\r\nCertUtil: -hashfile command completed successfully.\r\n", "it has digests of other algorithms than sha256 and sha512 only"},
	"another algorithm":            {"SHA3-256(tool)= " + a256 + "\n", "it has digests of other algorithms than sha256 and sha512 only"},
	"JSON of another algorithm":    {`{"algorithm": "SHA3-256", "hash": "` + a256 + `"}`, "it has digests of other algorithms than sha256 and sha512 only"},
	"a table of Markdown":          {"# Checksums\n\n| file | sha256 |\n|---|---|\n| tool | `" + a256 + "` |\n", "it may have a digest, in a form that is not known"},
	"a list with commas":           {"tool," + a256 + "\n", "it may have a digest, in a form that is not known"},
	"XML":                          {"<checksum type=\"sha256\">" + a256 + "</checksum>", "it may have a digest, in a form that is not known"},
	"cut short":                    {a256[:50] + "\n", "its digest is not as long as one of sha256 or sha512: it may be cut short"},
	"cut short, with its name":     {"SHA256 (tool) = " + a256[:60] + "\n", "its digest is not as long as one of sha256 or sha512: it may be cut short"},
	"JSON that is cut short":       {`{"sha256": "` + a256[:60] + `"}`, "its digest is not as long as one of sha256 or sha512: it may be cut short"},
	"a short row of PowerShell":    {"\"SHA256\",\"" + a256[:32] + "\",\"tool\"\n", "its digest is not as long as one of sha256 or sha512: it may be cut short"},
	"a short row of a table":       {"SHA256 " + a256[:32] + " tool\n", "its digest is not as long as one of sha256 or sha512: it may be cut short"},
	"a short digest after a name":  {"SHA256: " + a256[:16] + "\n", "its digest is not as long as one of sha256 or sha512: it may be cut short"},
	"a row that PowerShell cut":    {"SHA512          " + a512[:90] + "...\n", "its digest is not as long as one of sha256 or sha512: it may be cut short"},
	"a name that is another":       {`{"traceId": "` + a256 + `"}`, `it does not name "tool"`},
	"binary":                       {"\x00\x01\x02\x03" + strings.Repeat("\xff", 28), "it is a digest in binary form, not in hexadecimal digits"},
	"Git LFS":                      {"version https://git-lfs.github.com/spec/v1\noid sha256:" + a256 + "\nsize 12\n", "it is a Git LFS pointer, not the file itself"},
	"UTF-32":                       {"\xff\xfe\x00\x00a\x00\x00\x00", "it is text in UTF-32 or in damaged UTF-16"},
	"damaged UTF-16":               {"\xff\xfea", "it is text in UTF-32 or in damaged UTF-16"},
}

func TestUnusable(t *testing.T) {
	t.Parallel()
	for name, tt := range unusable {
		got, err := Find([]byte(tt.data), path, false)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v %v, want %q", name, got, err, tt.want)
		}
	}
}

// TestBounds holds how long a name is that is read or repeated.
func TestBounds(t *testing.T) {
	t.Parallel()
	if got := []string{algorithm("sha256" + strings.Repeat("-", 18)), algorithm("sha256" + strings.Repeat("-", 19))}; got[0] != "sha256" || got[1] != "" {
		t.Errorf("%q", got)
	}
	hundred := strings.Repeat("x", 100)
	for name, want := range map[string]string{hundred: hundred, hundred + "x": hundred + "…", hundred[1:] + "ö": hundred[1:] + "…"} {
		if got := shown(name); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestNotListed(t *testing.T) {
	t.Parallel()
	for _, data := range []string{a256 + "  x\n", a256 + "\n", `{"x": "` + a256 + `"}`} {
		if got, err := Find([]byte(data), path, true); !errors.Is(err, ErrNotListed) {
			t.Errorf("%.40q: %v %v", data, got, err)
		}
	}
}

// FuzzFind has whatever is found be a digest that the file holds.
func FuzzFind(f *testing.F) {
	for _, tt := range forms {
		f.Add([]byte(tt.data), tt.shared)
	}
	for data := range none {
		f.Add([]byte(data), false)
	}
	for _, tt := range unusable {
		f.Add([]byte(tt.data), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, shared bool) {
		found, err := Find(data, path, shared)
		if (len(found) == 0) != (err != nil) {
			t.Fatalf("%v and %v", found, err)
		}
		for _, sum := range found {
			if parsed, err := agent.ParseChecksum(sum.String()); err != nil || parsed != sum || sum.Algorithm != "sha256" && sum.Algorithm != "sha512" {
				t.Errorf("%v is no digest: %v", sum, err)
			}
		}
	})
}
