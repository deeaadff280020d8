package cmd

import (
	"strconv"

	"github.com/botkube-mirror/botkube-mirror/internal/fault"
)

// exitCodes says what the codes mean for a command, apart from 1, 2 and 130.
var exitCodes = map[string][]Term{
	"botkube-mirror": {
		exit(0, "done"),
		exit(fault.Unexpected, "unexpected, such as a full disk"),
		exit(fault.Usage, "wrong command line or configuration"),
		exit(fault.Upstream, "a server cannot be reached, or does not have a file"),
		exit(fault.Integrity, "content does not match its checksum, lock or index"),
		exit(fault.Incomplete, "something that the agent needs is missing"),
		exit(fault.Differs, "a difference was found, with --exit-code only"),
		exit(fault.Interrupted, "interrupted"),
	},
	"pull": {
		exit(0, "every output is complete"),
		exit(fault.Upstream, "a server cannot be reached, or does not have a file"),
		exit(fault.Integrity, "a file or an index does not match its checksum or --lock"),
		exit(fault.Incomplete, "an image lacks a platform, or --keep-going could not download all files"),
	},
	"lock": {
		exit(0, "the lock is written"),
		exit(fault.Upstream, "a server cannot be reached, or does not have a file"),
		exit(fault.Integrity, "a file or an index does not match its checksum"),
		exit(fault.Incomplete, "an image lacks a platform, or --keep-going could not download all files"),
	},
	"unpack": {
		exit(0, "every output is complete"),
		exit(fault.Upstream, "the registry cannot be reached"),
		exit(fault.Integrity, "the bundle is damaged, or its lock is not that of --lock-digest"),
		exit(fault.Incomplete, "the bundle lacks a file or a platform"),
	},
	"push": {
		exit(0, "the registry has everything"),
		exit(fault.Upstream, "the registry cannot be reached, or refuses an upload"),
		exit(fault.Integrity, "the bundle is damaged, or a tag has other content and --force is not given"),
		exit(fault.Incomplete, "the bundle lacks a file or a platform"),
	},
	"verify": {
		exit(0, "everything is correct"),
		exit(fault.Upstream, "the registry cannot be reached"),
		exit(fault.Integrity, "something is damaged, unexpected or different"),
		exit(fault.Incomplete, "something is missing, or the values do not keep the agent offline"),
	},
	"values": {
		exit(0, "the values are printed"),
		exit(fault.Upstream, "the registry cannot be reached"),
		exit(fault.Integrity, "the mirror is damaged"),
		exit(fault.Incomplete, "the mirror lacks something that the agent needs"),
	},
	"diff": {
		exit(0, "A and B were compared"),
		exit(fault.Differs, "they differ, with --exit-code only"),
	},
	"outdated": {
		exit(0, "everything was compared"),
		exit(fault.Upstream, "something could not be compared, because a server did not answer"),
		exit(fault.Integrity, "something could not be compared, because an index is damaged"),
		exit(fault.Differs, "something is newer or changed, with --exit-code only"),
	},
	"serve": {
		exit(0, "ended by a signal, after downloads were complete"),
		exit(fault.Integrity, "TARGET is damaged"),
	},
}

func exit(code fault.Kind, meaning string) Term { return Term{strconv.Itoa(int(code)), meaning} }
