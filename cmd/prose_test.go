package cmd

import "testing"

func TestMessagesAreWrapped(t *testing.T) {
	for text, want := range map[string]string{
		"botkube-mirror: bundle.tar is damaged": "botkube-mirror: bundle.tar is damaged",
		"hint: make the file readable for the user who runs botkube-mirror": `hint: make the file readable for the
  user who runs botkube-mirror`,
		"hint: add to your values what this prints: botkube-mirror values ./plugins --values YOURS.yaml, with --pvc or --image": `hint: add to your values what this
  prints:
  botkube-mirror values ./plugins --values YOURS.yaml,
  with --pvc or --image`,
		"hint: give what helm template prints, or see https://example.com/a/long/url/of/a/page": `hint: give what helm template prints, or
  see
  https://example.com/a/long/url/of/a/page`,
		"hint: convert it: openssl x509 -in 'a b, c.der' -out ca.pem\n  then use --ca-file CA.pem in the place of it": `hint: convert it:
  openssl x509 -in 'a b, c.der' -out ca.pem
  then use --ca-file CA.pem in the place
    of it`,
		"hint: botkube-mirror did not write this file, so move it": `hint: botkube-mirror did not write this
  file, so move it`,
	} {
		if got := wrapMessages(text, 40); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}
