#!/bin/sh
# Caffeine against the C yardsticks and the installed peers, in interleaved rounds. Builds everything, then
# measures: `experiments/compare.sh --help` lists modes and options, `experiments/compare.py` has the method.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")

for tool in python3 gcc cargo; do
    command -v "$tool" >/dev/null || { echo "compare.sh: $tool is missing; install it and try again" >&2; exit 1; }
done

case " $* " in
    *" --help "* | *" -h "* | *" report "*) exec python3 "$here/compare.py" "$@" ;;
esac

work=$(mktemp -d "${TMPDIR:-/tmp}/caffeine-compare.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

target=${CARGO_TARGET_DIR:-$root/target}
cargo build --release --locked --quiet --bin caffeine --manifest-path "$root/Cargo.toml" --target-dir "$target"
cp "$target/release/caffeine" "$work/caffeine"

reference=$here/reference
for program in fixed strategies dispatch rawload; do
    gcc -O2 "$reference/$program.c" -o "$work/$program"
done
# One pair per handler: whole response (Caffeine, the ceiling, busybox) and CGI headers (lighttpd).
for form in "nph -DNPH" "cgi -UNPH"; do
    name=${form% *} define=${form#* }
    gcc -O2 -static "$define" "$reference/hello.c" -o "$work/glibc-$name"
    gcc -O2 -static -nostdlib -DNOSTD "$define" "$reference/hello.c" -o "$work/nolibc-$name"
done

python3 "$here/compare.py" --programs "$work" --results "$root/results/compare" "$@"
