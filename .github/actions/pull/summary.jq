# The summary of a pull, in Markdown, of what pull --format json prints. What comes from outside stands in
# code spans, where it is no markup.

def code: tostring | gsub("[`|\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]"; " ") | "`\(.)`";

def count(noun): "\(length) \(noun)\(if length == 1 then "" else "s" end)";

def size:
  if . < 1024 then "\(.) B"
  elif . < 1048576 then "\(. / 102.4 | round / 10) KiB"
  elif . < 1073741824 then "\(. / 104857.6 | round / 10) MiB"
  else "\(. / 107374182.4 | round / 10) GiB" end;

def source: {index: "from the index", publisher: "from the publisher", lock: "from an earlier lock", flag: "from --dependency", none: "unverified"}[.] // .;

# GitHub takes a summary of 1 MiB.
def most(line): (.[:1000][] | line), (if length > 1000 then "", "\(length - 1000) more are in the result." else empty end);

"### botkube-mirror pull\(if .dryRun then " --dry-run" else "" end): \(.plugins | count("plugin")), \(.artifacts | count("file")) for \(.platforms | join(", ") | code)",
"",
(if .botkubeVersion then "Botkube \(.botkubeVersion | code). " else "" end)
+ (if .dryRun then "" else "\(.fetchedBytes | size) downloaded, \(.reusedBytes | size) from the store. " end) + "Checksums given: "
+ (.artifacts | group_by(.verifiedBy) | map("\(length) \(.[0].verifiedBy | source)") | join(", ")) + ".",
"",
"| Output | State | Digest | Size |",
"|---|---|---|---|",
(.dryRun as $dry | .outputs // [] | .[]
  | "| \(.path | code) | \(if $dry then "not written: a dry run" elif .changed then "written" else "complete before; nothing was written" end) | \(if .digest then .digest | code else "–" end) | \(if .size then .size | size else "–" end) |"),
"",
(.artifacts | map(select(.verifiedBy == "none")) | if length == 0 then empty else
  "#### Unverified: files without a checksum of the index or the publisher", "", most("* \(.url | code)"), "" end),
"<details><summary>Plugins</summary>",
"",
"| Plugin | Type | Version | Platforms |",
"|---|---|---|---|",
(.plugins | most("| \("\(.repository)/\(.name)" | code) | \(.type | code) | \(.version | code) | \([.builds[].platform] | join(", ") | code) |")),
"",
"</details>"
