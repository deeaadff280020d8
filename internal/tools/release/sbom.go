package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/licensecheck"
)

// self is the program's module.
const self = "github.com/botkube-mirror/botkube-mirror"

// sbom lists what is linked into the program of an archive: what the program itself says.
func sbom(archive, version, file string) error {
	a, err := readArchive(archive)
	if err != nil {
		return err
	}
	info, err := a.buildInfo()
	if err != nil {
		return err
	}
	// The version of a Go module has a v.
	purl := "pkg:golang/" + self + "@v" + version
	sum := sha256.Sum256(a.program)
	bom := cdx.NewBOM()
	bom.SerialNumber = serialNumber(a.program)
	bom.Metadata = &cdx.Metadata{
		Timestamp: a.date.UTC().Format(time.RFC3339),
		Component: &cdx.Component{
			BOMRef: purl, Type: cdx.ComponentTypeApplication, Name: "botkube-mirror", Version: version, PackageURL: purl,
			Hashes:   &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}},
			Licenses: identify(a.files, "LICENSE"),
		},
	}
	modules := slices.Concat(info.Deps, []*debug.Module{{Path: "stdlib", Version: goVersion(info)}})
	components, refs := []cdx.Component{}, []string{}
	for _, m := range modules {
		ref, terms := "pkg:golang/"+m.Path+"@"+m.Version, "licenses/"+m.Path+"@"+m.Version+"/"
		if m.Path == "stdlib" {
			terms = "licenses/go@" + m.Version + "/"
		}
		c := cdx.Component{
			BOMRef: ref, Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, Scope: cdx.ScopeRequired, PackageURL: ref,
			Licenses: identify(a.files, terms),
		}
		if c.Licenses == nil {
			return fmt.Errorf("%s: nothing in %s is known as a licence", archive, terms)
		}
		if m.Sum != "" {
			c.Properties = &[]cdx.Property{{Name: "go:sum", Value: m.Sum}}
		}
		components, refs = append(components, c), append(refs, ref)
	}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: purl, Dependencies: &refs}}
	return writeBOM(bom, file)
}

func writeBOM(bom *cdx.BOM, file string) error {
	var b strings.Builder
	if err := cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}

// identify names the licences of the files that begin with a prefix, by what the texts say.
func identify(files map[string][]byte, prefix string) *cdx.Licenses {
	ids := map[string]bool{}
	for name, data := range files {
		if !strings.HasPrefix(name, prefix) || strings.HasPrefix(strings.ToUpper(path.Base(name)), "PATENTS") {
			continue
		}
		if c := licensecheck.Scan(data); c.Percent >= 70 {
			for _, m := range c.Match {
				ids[m.ID] = true
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var all cdx.Licenses
	for id := range ids {
		all = append(all, cdx.LicenseChoice{License: &cdx.License{ID: id}})
	}
	slices.SortFunc(all, func(a, b cdx.LicenseChoice) int { return strings.Compare(a.License.ID, b.License.ID) })
	return &all
}

// serialNumber is a UUID that follows from the program (RFC 9562, version 8): the same program
// has the same SBOM.
func serialNumber(program []byte) string {
	u := sha256.Sum256(append([]byte("botkube-mirror SBOM\n"), program...))
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}
