#!/bin/sh
# SPDX-License-Identifier: MIT
#
# demo.sh - a bus of its own, 69,659 real orders across it, and all checked.
#
# Runs what stands in $BUILD; called by `make demo`. Leaves nothing behind,
# however it ends.

cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
data=examples/data/CDNOW_master.txt
begin=$(date +%s%N)

BUS_DIR=$(mktemp -d "${TMPDIR:-/tmp}/bus-demo.XXXXXX") || exit 1
export BUS_DIR

end() {
	status=$?
	trap '' INT TERM
	trap - EXIT
	if "$build/bus" status >/dev/null 2>&1; then
		"$build/bus" down || status=1
	fi
	rm -rf "$BUS_DIR"
	exit $status
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$build/bus" up || exit
"$build/bus" topic create orders --partitions 4 || exit
"$build/examples/orders" "$data" || exit
took=$((($(date +%s%N) - begin) / 10000000))
printf '\nall checks passed after %d.%02d s\n' $((took / 100)) $((took % 100))
