#!/usr/bin/env bash
# Pulls, and gives GitHub the result: outputs of the step, and the summary of the job.
#
#   MIRROR_LOCK     the lock, if there is one
#   MIRROR_OUTPUTS  outputs, one a line, if the configuration file has none
set -euo pipefail

# The step before has restored this directory from the cache. Its name is the same for all runners.
export BOTKUBE_MIRROR_STORE=${BOTKUBE_MIRROR_STORE:-$HOME/.cache/botkube-mirror-action}

here=$(dirname "${BASH_SOURCE[0]}")
# A job may pull twice.
dir=$(mktemp -d "$RUNNER_TEMP/botkube-mirror.XXXXXX")
result=$dir/botkube-mirror.json
log=$dir/botkube-mirror.log
summary=$dir/botkube-mirror.md

command -v jq >/dev/null || {
	printf 'botkube-mirror: jq is not installed on this runner\nhint: install jq, which makes the summary\n' >&2
	exit 2
}
args=(pull --format json)
[[ -z ${MIRROR_LOCK-} ]] || args+=(--lock "$MIRROR_LOCK")
while IFS= read -r output; do
	[[ -z $output ]] || args+=(--output "$output")
done <<<"${MIRROR_OUTPUTS-}"

code=0
{ botkube-mirror "${args[@]}" 2>&1 >&3 3>&- | tee "$log" >&2; } 3>"$result" || code=$?

if [[ $code -eq 0 ]]; then
	jq -r -f "$here/summary.jq" "$result" >"$summary"
	# The store holds what the outputs are made of, and nothing else goes into the cache.
	botkube-mirror prune --quiet >/dev/null
else
	# Lines of JSON, with log-format: json, have neither prefix, and botkube-mirror annotates nothing then.
	said=$(grep -E '^(botkube-mirror|hint): ' "$log" || tail -n 3 "$log")
	first=${said%%$'\n'*}
	grep -q '^::error ' "$log" || printf '::error title=botkube-mirror::%s\n' "${first//%/%25}"
	{
		printf '### botkube-mirror pull failed with exit code %d\n\n' "$code"
		# Four spaces make it code, whatever the text is.
		while IFS= read -r line; do printf '    %s\n' "$line"; done <<<"$said"
	} >"$summary"
fi
cat "$summary" >>"$GITHUB_STEP_SUMMARY"

printf 'result=%s\nsummary=%s\n' "$result" "$summary" >>"$GITHUB_OUTPUT"
# GitHub takes outputs of 1 MiB.
if [[ $(wc -c <"$result") -gt 1000000 ]]; then
	printf '::notice title=botkube-mirror pull::the output json is empty: the result is too large; read the file of the output result\n'
else
	# Nothing in the result can end it: the mark cannot be known before.
	mark=end-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
	{
		printf 'json<<%s\n' "$mark"
		cat "$result"
		printf '\n%s\n' "$mark"
	} >>"$GITHUB_OUTPUT"
fi
exit "$code"
