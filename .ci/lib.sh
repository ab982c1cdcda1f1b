# shellcheck shell=bash
# Shared by .ci/run and .ci/soak: timed steps, an empty home, and the tests as an ordinary user. To be sourced.

# A user id that is normally unused.
readonly ORDINARY=54330

# Runs a command as a step: prints its name before and its duration after it.
step() {
    local begin=$SECONDS
    printf '\n== %s\n' "$*"
    "$@"
    printf -- '-- %d s: %s\n' $((SECONDS - begin)) "$*"
}

# Makes HOME an empty folder and unsets everything else that determines state and settings.
fresh_home() {
    exec </dev/null
    umask 022
    export CARGO_HOME=${CARGO_HOME:-${HOME:-/root}/.cargo}
    local rustup=${RUSTUP_HOME:-${HOME:-/root}/.rustup}
    if [ -d "$rustup" ]; then export RUSTUP_HOME=$rustup; fi
    local variable
    for variable in $(compgen -e CAFFEINE_) XDG_CONFIG_HOME XDG_DATA_HOME XDG_RUNTIME_DIR NOTIFY_SOCKET; do
        unset "$variable"
    done
    fresh=$(mktemp -d "${TMPDIR:-/tmp}/caffeine-ci.XXXXXX")
    chmod 755 "$fresh"
    trap 'rm -rf "$fresh"' EXIT
    mkdir "$fresh/home" "$fresh/state" "$fresh/ordinary"
    export HOME=$fresh/home XDG_STATE_HOME=$fresh/state
    if ((EUID == 0)); then
        chown "$ORDINARY:$ORDINARY" "$fresh/ordinary"
        # The ordinary user must be able to reach the programs, whose paths are compiled into the tests.
        if ! ordinary test -r Cargo.toml -a -x . || { [ -d target ] && ! ordinary test -x target; }; then
            export CARGO_TARGET_DIR=$fresh/target
        fi
    fi
}

# The tests must leave nothing behind in the home.
home_is_empty() {
    local left
    left=$(find "$HOME" "$XDG_STATE_HOME" -mindepth 1 | head -n 20)
    [ -z "$left" ] || { printf 'left behind by the tests:\n%s\n' "$left" >&2; return 1; }
}

# Runs a command as an ordinary user with an empty home.
ordinary() {
    setpriv --reuid "$ORDINARY" --regid "$ORDINARY" --clear-groups --inh-caps=-all \
        env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME="$fresh/ordinary" "$@"
}

# Builds the tests and prints the path of the executable.
tests() {
    local told
    told=$(cargo test --locked --no-run --test caffeine 2>&1) || { printf '%s\n' "$told" >&2; return 1; }
    sed -n 's/.*Executable .*(\(.*\))$/\1/p' <<<"$told"
}
