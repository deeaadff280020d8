package helmvalues

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestSet has what Helm makes of assignments; internal/test/acceptance compares it with Helm.
func TestSet(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a=1,b=true,c=null,d=0,e=007,f=x": `{"a":1,"b":true,"c":null,"d":0,"e":"007","f":"x"}`,
		`a.b\.c=1,a.d=2`:                  `{"a":{"b.c":1,"d":2}}`,
		"a={x,1},b={},c={x},d=y":          `{"a":["x",1],"b":[],"c":["x"],"d":"y"}`,
		"a[1].b=x,a[0]=y,c[0][1]=z":       `{"a":["y",{"b":"x"}],"c":[[null,"z"]]}`,
		`a=x\,y,b=`:                       `{"a":"x,y","b":""}`,
		"old.k=new":                       `{"old":{"k":"new","l":1}}`,
		"a=b=c":                           `{"a":"b=c"}`,
	} {
		values := map[string]any{}
		if strings.HasPrefix(in, "old") {
			values["old"] = map[string]any{"k": "old", "l": 1}
		}
		err := Set(values, in, false)
		if got, _ := json.Marshal(values); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
	values := map[string]any{}
	if err := Set(values, "a=1,b=true", true); err != nil || values["a"] != "1" || values["b"] != "true" {
		t.Errorf("as texts: %v, %v", values, err)
	}
	if err := SetText(values, "c.d", "x,y\n{z"); err != nil || values["c"].(map[string]any)["d"] != "x,y\n{z" {
		t.Errorf("as one text: %v, %v", values, err)
	}
}

func TestSetRefused(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"a", "a.b", "a=1,s3cret", "a,b=1", "a[x]=1", "a[0", "a[0]", "a[0]x=1", "a[99999999]=1", "a[-1]=1", "a={x", "text.k=1", "text[0]=1", "a.=", "." + strings.Repeat("a.", 40) + "b=1",
		"a" + strings.Repeat("[0]", 40) + "=1",
	} {
		if err := Set(map[string]any{"text": "s3cret"}, in, false); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func FuzzSet(f *testing.F) {
	f.Add("a.b[0].c=1,d={x,y}")
	f.Fuzz(func(t *testing.T, in string) {
		values := map[string]any{}
		if Set(values, in, false) == nil {
			if _, err := json.Marshal(values); err != nil {
				t.Error(err)
			}
		}
	})
}
