#!/bin/sh
# Renews the lock on the branch of a merge request, and posts what changed as a comment, on GitHub and
# GitLab. It does nothing if the lock stays the same. If upstream replaced content in place, it posts that,
# and does not commit the lock: a person decides.
#
#   BOTKUBE_MIRROR_FILE  the configuration file
#   MIRROR_LOCK          the lock
#   MIRROR_TOKEN         may push to the branch, and comment
#   MIRROR_FROM          on GitHub, the repository that the branch is in
set -eu

fail() { # CODE WHAT HINT
	printf 'botkube-mirror: %s\nhint: %s\n' "$2" "$3" >&2
	exit "$1"
}

lock=${MIRROR_LOCK:-botkube-mirror.lock.json}
# It is for pulls: the new lock must not be made of the old one.
unset BOTKUBE_MIRROR_LOCK

[ -n "${MIRROR_TOKEN-}" ] || fail 2 "there is no token" \
	"on GitLab, set the variable MIRROR_TOKEN, not protected; on GitHub, pull requests of Dependabot see no secrets of Actions"
if [ -n "${GITLAB_CI-}" ]; then
	[ -n "${CI_MERGE_REQUEST_IID-}" ] || fail 2 "this pipeline belongs to no merge request" \
		"run the job for merge requests only, by the rules of .botkube-mirror-renew"
	url=$CI_PROJECT_URL.git user=oauth2
	head=$CI_MERGE_REQUEST_SOURCE_BRANCH_NAME base=$CI_MERGE_REQUEST_TARGET_BRANCH_NAME
	comments=$CI_API_V4_URL/projects/$CI_PROJECT_ID/merge_requests/$CI_MERGE_REQUEST_IID/notes
else
	[ -n "${MIRROR_REQUEST-}" ] || fail 2 "this run belongs to no pull request" \
		"run the job for the event pull_request only"
	[ "$MIRROR_FROM" = "$GITHUB_REPOSITORY" ] || fail 2 "the branch of the pull request is in another repository, $MIRROR_FROM" \
		"do not run the job for forks: renew the lock by hand, with botkube-mirror lock"
	url=$GITHUB_SERVER_URL/$GITHUB_REPOSITORY.git user=x-access-token
	head=$GITHUB_HEAD_REF base=$GITHUB_BASE_REF
	comments=$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues/$MIRROR_REQUEST/comments
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

compare() ( # FORMAT
	cd "$work"
	BOTKUBE_MIRROR_FILE='' botkube-mirror diff old.lock.json new.lock.json --format "$1"
)

# Headers are read from a file: the token stands in no argument, which others on the machine could read.
comment() {
	if [ -n "${GITLAB_CI-}" ]; then
		printf 'PRIVATE-TOKEN: %s\n' "$MIRROR_TOKEN" >"$work/header"
		set -- --data-urlencode "body@$work/comment.md"
		# The runner has the authority of a GitLab of one's own here.
		[ -z "${CI_SERVER_TLS_CA_FILE-}" ] || set -- "$@" --cacert "$CI_SERVER_TLS_CA_FILE"
	else
		cat "$work/comment.md" >>"$GITHUB_STEP_SUMMARY"
		printf 'Authorization: Bearer %s\nAccept: application/vnd.github+json\n' "$MIRROR_TOKEN" >"$work/header"
		jq -Rs '{body: .}' "$work/comment.md" >"$work/comment.json"
		set -- --data-binary "@$work/comment.json"
	fi
	status=$(curl --silent --show-error --output "$work/answer" --write-out '%{http_code}' --header "@$work/header" "$@" "$comments") &&
		[ "$status" -lt 300 ]
}

# The empty value drops the header that the checkout may have left. In a container, the work tree belongs to
# the user outside, whom git does not trust.
export GIT_CONFIG_COUNT=3 GIT_CONFIG_KEY_0="http.$url.extraHeader" GIT_CONFIG_KEY_1="http.$url.extraHeader" GIT_CONFIG_KEY_2=safe.directory
GIT_CONFIG_VALUE_1="Authorization: Basic $(printf '%s:%s' "$user" "$MIRROR_TOKEN" | base64 | tr -d '\n')"
export GIT_CONFIG_VALUE_0='' GIT_CONFIG_VALUE_1 GIT_CONFIG_VALUE_2="$PWD" GIT_TERMINAL_PROMPT=0

# What is checked out may be a merge of the two branches: the lock belongs onto the branch itself.
git fetch --quiet --depth=1 "$url" "refs/heads/$base"
# By its path, in whatever form that is: "100644 blob DIGEST<tab>PATH".
known=$(git ls-tree FETCH_HEAD -- "$lock")
if [ -n "$known" ]; then
	git cat-file blob "$(printf '%s\n' "$known" | cut -f 1 | cut -d ' ' -f 3)" >"$work/old.lock.json"
fi
git fetch --quiet --depth=1 "$url" "refs/heads/$head"
git checkout --quiet --detach FETCH_HEAD

botkube-mirror lock "$lock"
git add -- "$lock"
if git diff --cached --quiet -- "$lock"; then
	echo "$lock is up to date"
	exit 0
fi

if [ -n "$known" ]; then
	cp "$lock" "$work/new.lock.json"
	compare markdown >"$work/comment.md"
	cat "$work/comment.md"
	if ! comment; then
		[ ! -e "$work/answer" ] || cat "$work/answer" >&2
		fail 3 "the comment cannot be posted to $comments; the answer is above" \
			"the token must be allowed to comment: api on GitLab, pull-requests: write on GitHub"
	fi
	compare json | grep -q '"alarming": 0,' || fail 4 "content changed that must not change, so $lock is not committed" \
		"ask the publisher first; then run botkube-mirror lock, and commit the lock yourself"
fi

# Who makes the commit can be set, as for git.
export GIT_AUTHOR_NAME="${GIT_AUTHOR_NAME:-botkube-mirror}" GIT_AUTHOR_EMAIL="${GIT_AUTHOR_EMAIL:-botkube-mirror@example.invalid}"
export GIT_COMMITTER_NAME="$GIT_AUTHOR_NAME" GIT_COMMITTER_EMAIL="$GIT_AUTHOR_EMAIL"
git commit --quiet --message "Renew the lock of Botkube plugins" -- "$lock"
git push --quiet "$url" "HEAD:refs/heads/$head" || fail 3 "$lock cannot be pushed to $head" \
	"the token must be allowed to push: write_repository on GitLab, contents: write on GitHub; if the branch has moved, run the job again"
echo "$lock is renewed on $head"
