#!/bin/sh
# Installs a release of botkube-mirror for this job, unless its checksums are others than expected.
#
#   MIRROR_RELEASE  the release, such as v1.2.3
#   MIRROR_SHA256   the SHA-256 of its file checksums.txt
#   MIRROR_URL      where releases are: https://github.com/... (the default), or a mirror of it
#   MIRROR_DIR      a directory for the program; on GitHub, one in RUNNER_TEMP if it is not set
set -eu

fail() { # CODE WHAT HINT
	printf 'botkube-mirror: %s\nhint: %s\n' "$2" "$3" >&2
	exit "$1"
}

sha256() {
	if command -v sha256sum >/dev/null; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi | cut -d ' ' -f 1
}

download() { # FILE
	curl --fail --silent --show-error --location --netrc-optional --connect-timeout 30 --retry 3 \
		--output "$MIRROR_DIR/$1" "${MIRROR_URL%/}/$MIRROR_RELEASE/$1" ||
		fail 3 "$1 of $MIRROR_RELEASE cannot be downloaded" \
			"does the release exist, and is it below the URL that you gave, as RELEASE/$1? curl's message is above; after 401 or 403, give credentials in ~/.netrc"
}

MIRROR_URL=${MIRROR_URL:-https://github.com/botkube-mirror/botkube-mirror/releases/download}
MIRROR_RELEASE=${MIRROR_RELEASE-}
MIRROR_SHA256=${MIRROR_SHA256-}
# Windows prints checksums in capitals.
MIRROR_SHA256=$(printf '%s' "${MIRROR_SHA256#sha256:}" | tr ABCDEF abcdef)
# In a job's container, the expression runner.temp is the path outside of it; the variable is right.
MIRROR_DIR=${MIRROR_DIR:-$RUNNER_TEMP/botkube-mirror}
case $MIRROR_RELEASE in
v[0-9]*) ;;
*) fail 2 "\"$MIRROR_RELEASE\" is no release" "give one such as v1.2.3" ;;
esac
case $MIRROR_RELEASE in
*[!0-9A-Za-z.+-]*) fail 2 "\"$MIRROR_RELEASE\" is no release" "give one such as v1.2.3" ;;
esac
case $MIRROR_SHA256 in
*[!0-9a-f]* | '') fail 2 "the SHA-256 of checksums.txt is missing, or not hexadecimal" \
	"read it from a release that you trust: sha256sum checksums.txt" ;;
esac

case $(uname -s) in
Linux) os=linux ;;
Darwin) os=darwin ;;
*) fail 2 "this job runs on $(uname -s)" "run it on Linux or macOS" ;;
esac
case $(uname -m) in
x86_64 | amd64) arch=amd64 ;;
aarch64 | arm64) arch=arm64 ;;
*) fail 2 "there is no program for $(uname -m)" "run this job on amd64 or arm64" ;;
esac
archive=botkube-mirror_${MIRROR_RELEASE#v}_${os}_$arch.tar.gz

mkdir -p "$MIRROR_DIR"
download checksums.txt
found=$(sha256 "$MIRROR_DIR/checksums.txt")
[ "$found" = "$MIRROR_SHA256" ] || fail 4 "checksums.txt of $MIRROR_RELEASE has the SHA-256 $found, not $MIRROR_SHA256" \
	"if you changed the release, change its checksum, too; if not, somebody replaced the release: ask its publisher"
expected=$(awk -v name="$archive" '$2 == name { print $1 }' "$MIRROR_DIR/checksums.txt")
[ -n "$expected" ] || fail 3 "checksums.txt of $MIRROR_RELEASE does not have $archive" "choose another release"
download "$archive"
found=$(sha256 "$MIRROR_DIR/$archive")
[ "$found" = "$expected" ] || fail 4 "$archive has the SHA-256 $found, not $expected as in checksums.txt" \
	"run the job again; if the message stays, the server has another file than the publisher"
tar -xzf "$MIRROR_DIR/$archive" -C "$MIRROR_DIR" botkube-mirror
rm "$MIRROR_DIR/$archive"

PATH=$MIRROR_DIR:$PATH
export PATH
if [ -n "${GITHUB_PATH-}" ]; then printf '%s\n' "$MIRROR_DIR" >>"$GITHUB_PATH"; fi
botkube-mirror version
