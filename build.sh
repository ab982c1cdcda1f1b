#!/bin/sh
# Builds Caffeine into build/, ready for `cd build && make install`. Run it again at any time: it starts over.
set -eu

usage() {
    cat <<'END'
usage: ./build.sh [--server-only] [--static]

Builds the release programs with their manual pages and shell completions into build/, then:
  cd build && make install                        into /usr/local (as root)
  cd build && make install PREFIX="$HOME/.local"  into a place of your own
  cd build && make uninstall                      takes the same files away

  --server-only  caffeine alone, without loadgen, lab and the packages they need
  --static       programs that need no library of the system, for containers and other distributions
  -h, --help     this text
END
}

fail() {
    echo "build.sh: $*" >&2
    exit 1
}

programs="caffeine loadgen lab"
features=
static=
for argument in "$@"; do
    case $argument in
        --server-only) programs=caffeine features=--no-default-features ;;
        --static) static=yes ;;
        -h | --help) usage; exit 0 ;;
        *) echo "build.sh: unknown option $argument" >&2; usage >&2; exit 2 ;;
    esac
done

cd "$(dirname "$0")"
[ "$(uname -s)" = Linux ] || fail "Caffeine runs on Linux only; this is $(uname -s)"
command -v cargo >/dev/null ||
    fail "cargo is missing: install Rust from https://rustup.rs, open a new shell and run ./build.sh again"
command -v cc >/dev/null ||
    fail "no C compiler to link with: install one (Debian, Ubuntu: apt-get install gcc; Fedora: dnf install gcc)"

target=${CARGO_TARGET_DIR:-target}
built=$target/release
triple=
if [ -n "$static" ]; then
    # Flags hold for the programs alone, not for what runs during the build, only if the target is named.
    triple=$(rustc -vV | sed -n 's/^host: //p')
    export RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static"
    built=$target/$triple/release
fi
# shellcheck disable=SC2086 # without features there must be no argument, not an empty one
cargo build --release --locked --target-dir "$target" --bins $features ${triple:+--target "$triple"}

# Below build/ everything lies as it will below PREFIX; the Makefile copies what it finds.
packaging=src/server/packaging
share=build/share
rm -rf build
mkdir -p build/bin build/lib/systemd/system $share/man/man1 $share/doc/caffeine \
    $share/bash-completion/completions $share/zsh/site-functions $share/fish/vendor_completions.d
for program in $programs; do
    cp "$built/$program" build/bin/
    run=build/bin/$program
    # The measuring programs bring a manual page and completions only if they say so.
    if [ "$program" != caffeine ] && ! "$run" --help | grep -q -e --completions; then
        continue
    fi
    "$run" --man >"$share/man/man1/$program.1"
    "$run" --completions bash >"$share/bash-completion/completions/$program"
    "$run" --completions zsh >"$share/zsh/site-functions/_$program"
    "$run" --completions fish >"$share/fish/vendor_completions.d/$program.fish"
done
cp README.md CHANGELOG.md LICENSE "$packaging/logrotate.conf" "$packaging/setgid.conf" "$packaging/git.toml" "$packaging/grafana.json" $share/doc/caffeine/
cp "$packaging"/proxies/* $share/doc/caffeine/
cp "$packaging/caffeine@.service" "$packaging/caffeine@.socket" build/lib/systemd/system/
cp "$packaging/Makefile.in" build/Makefile

echo "built $programs; next: cd build && make install"
