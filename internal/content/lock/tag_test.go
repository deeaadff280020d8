package lock

import "testing"

func TestTag(t *testing.T) {
	t.Parallel()
	l := &Lock{SchemaVersion: SchemaVersion}
	for version, want := range map[string]string{"v1.14.0": "v1.14.0", "v1.15.0-rc.1+a+b": "v1.15.0-rc.1_a_b"} {
		l.BotkubeVersion = version
		if got, err := l.Tag(); err != nil || got != want {
			t.Errorf("the tag of %s is %s (%v)", version, got, err)
		}
	}
	l.BotkubeVersion = ""
	data, err := l.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	// What a bundle has beside plugins changes nothing: image and site have the same tag.
	l.Chart = &Chart{Name: "botkube"}
	if got, err := l.Tag(); err != nil || got != "lock-"+Sum(data).String()[:12] {
		t.Errorf("the tag of no version is %s (%v)", got, err)
	}
}
