#!/bin/sh
# Runs as root inside a virtual machine with the real Linux Bluetooth stack and two virtual controllers, hci0
# and hci1, in a directory that holds the example `fieldtest`.
#
# Both take part in a field test of TRUYVET_FIELD_MINUTES (1); the report finds each in the other's log, in over
# 95 % of the windows.
set -eu
minutes=${TRUYVET_FIELD_MINUTES:-1}
home=$(mktemp -d)
./fieldtest run --out "$home/left" --adapter hci0 --name left --minutes "$minutes" \
  --test-key "$home/test.key" > "$home/left.txt" 2>&1 &
left=$!
# The key is the first one's to make.
until [ -s "$home/test.key" ]; do
  kill -0 $left || { cat "$home/left.txt"; exit 1; }
  sleep 0.1
done
./fieldtest run --out "$home/right" --adapter hci1 --name right --minutes "$minutes" \
  --test-key "$home/test.key" > "$home/right.txt" 2>&1 || { cat "$home/right.txt"; exit 1; }
wait $left || { cat "$home/left.txt"; exit 1; }
cat "$home/left.txt" "$home/right.txt"
./fieldtest report "$home/left" "$home/right" --json "$home/report.json" \
  > "$home/report.txt" 2> "$home/errors.txt" || { cat "$home/errors.txt"; exit 1; }
cat "$home/report.txt"
# Whole windows of both ordered pairs, and nearly all of them heard.
awk '/^continuity/ { found = 1; if ($2 + 0 <= 95) bad = 1 } END { exit !found || bad }' "$home/report.txt" ||
  { echo "FAILED: expected a continuity above 95 %"; exit 1; }
grep -q '"detection_percent": 100.0' "$home/report.json" ||
  { echo "FAILED: expected both pairs to be detected"; exit 1; }
echo "ok: both hear each other"
