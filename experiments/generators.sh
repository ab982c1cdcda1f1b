#!/bin/sh
# loadgen beside other load generators on the same server, in interleaved rounds. Builds everything, then measures:
# `experiments/generators.sh --help` lists modes and options, `experiments/generators.py` has the method.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")

for tool in python3 gcc cargo; do
    command -v "$tool" >/dev/null || { echo "generators.sh: $tool is missing; install it and try again" >&2; exit 1; }
done

case " $* " in
    *" --help "* | *" -h "*) exec python3 "$here/generators.py" "$@" ;;
esac

work=$(mktemp -d "${TMPDIR:-/tmp}/caffeine-generators.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

target=${CARGO_TARGET_DIR:-$root/target}
cargo build --release --locked --quiet --bins --manifest-path "$root/Cargo.toml" --target-dir "$target"
cp "$target/release/caffeine" "$target/release/loadgen" "$work"
gcc -O2 "$here/reference/fixed.c" -o "$work/fixed"
gcc -O2 "$here/reference/rawload.c" -o "$work/rawload"
gcc -O2 "$here/reference/tick.c" -o "$work/tick"

python3 "$here/generators.py" --programs "$work" "$@"
