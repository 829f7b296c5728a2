#!/bin/sh
# Runs as root inside a virtual machine with the real Linux Bluetooth stack and two virtual
# controllers, hci0 and hci1, in a directory that holds the examples' binaries.
#
# Two tracers log each other across a rotation; each finds the exposure with the other's published
# keys, and none with a stranger's. Once for each protocol. Exits with 0 if all of it holds.
set -u
here=$PWD
failed=0

fail() { # fail WHAT FILE : says so, and shows FILE
  echo "FAILED: $1"
  cat "$2"
  failed=1
}
expect() { # expect WHAT PATTERN FILE : says whether FILE holds a line with PATTERN
  if grep -q "$2" "$3"; then echo "ok: $1"; else fail "$1" "$3"; fi
}

for protocol in gaen bluezone; do
  echo "== $protocol"
  # Forty seconds before Bluezone rotates.
  date -s "2026-11-24 10:29:20" > /dev/null
  mkdir -p "/tmp/$protocol"
  cd "/tmp/$protocol" || exit 1
  trace() { # trace NAME ADAPTER SECONDS : in the background it cannot set `failed`
    "$here/trace" --radio system --adapter "$2" --protocol $protocol --seconds "$3" \
      --log "$1" --key "$1.key" > "$1.txt" 2>&1
  }
  trace stranger hci1 5 || fail "the stranger traces" stranger.txt
  trace alice hci0 80 &
  alice=$!
  trace bob hci1 80 || fail "bob traces" bob.txt
  wait $alice || fail "alice traces" alice.txt
  for name in alice bob stranger; do
    "$here/publish" --log $name --key $name.key --out $name.published \
      --signing-key $name.authority.pem --yes > $name.publish.txt 2>&1 ||
      fail "$name publishes" $name.publish.txt
  done
  cat alice.txt
  for pair in "alice bob" "bob alice" "alice stranger" "bob stranger"; do
    set -- $pair
    # Bluezone's list bears no signature.
    trust=
    [ -e "$2.authority.pub.pem" ] && trust="--trust $2.authority.pub.pem"
    "$here/check" --log "$1" --key "$1.key" $trust "$2".published/* > check.txt 2>&1 ||
      fail "$1 checks $2's keys" check.txt
    echo "-- what $1 finds with $2's keys:"
    cat check.txt
    case $2 in
      stranger) expect "$1 finds nothing of $2's" ": 0 exposures$" check.txt ;;
      *)
        expect "$1 finds one exposure to $2" ": 1 exposure$" check.txt
        # A GAEN identifier lasts longer than this story.
        [ $protocol = gaen ] ||
          expect "both identifiers of $2 are in $1's log" "of 2 identifiers" check.txt
        ;;
    esac
  done
done
exit $failed
