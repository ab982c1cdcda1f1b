#!/usr/bin/env bash
# What other clients notice while slowhttptest attacks: 1000 connections with slow headers (-H), slow bodies (-B), ranges
# (-R) and slow reading (-X) against two workers, all on this machine.
#
#   experiments/attacks.sh [ROUNDS] [WORK...]     4 rounds of cgi and fixed: about ten minutes
#
# Needs slowhttptest (Debian: apt-get install slowhttptest iproute2 procps), cargo, cc, and leave to make a network namespace
# (root, or user namespaces). PROGRAMS=DIR takes caffeine and loadgen from there and builds nothing; SECONDS_EACH (12) is the
# length of a run, in which the attack comes up, stands, and meets the time-outs.
#
# All of it happens in a network of its own whose packets are as large as on an Ethernet: MTU=1500. MTU=65536 is the loopback
# device as it is, where send buffers are so large that only the server's own bound keeps slow readers (-X) from filling them.
#
# A round: quiet, -H, -B, quiet, -R, -X. In each of them loadgen asks 200 times per second for /hello, in an open loop: a
# request that has to wait counts from when it was due. -X reads /large, 1 MiB, as slowly as it can; the others attack /hello.
# The attacker runs on the same processors, at the lowest priority. The table has the median over rounds and, in brackets, the
# least and the most. Ratios are within a round, to the mean of its two quiet runs, and "quiet" is the second of these to the
# first; a round in which these two are apart by more than 2 has no others. "late": runs in which loadgen itself had to wait for
# a processor; their times are too long rather than too short.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
rounds=${1:-4}
shift $(($# ? 1 : 0))
works=("$@")
((${#works[@]})) || works=(cgi fixed)
each=${SECONDS_EACH:-12}
connections=1000

[[ $rounds =~ ^[0-9]+$ ]] || { sed -n '2,20s/^# \{0,1\}//p' "$0"; exit 2; }
for tool in slowhttptest cc awk ip pgrep unshare; do
    command -v "$tool" >/dev/null || { echo "attacks.sh: $tool is missing; install it and try again" >&2; exit 1; }
done
(($(ulimit -Hn) >= 4 * connections)) || { echo "attacks.sh: 'ulimit -Hn' must be $((4 * connections))" >&2; exit 1; }
ulimit -n $((4 * connections))
if [ -z "${PROGRAMS:-}" ]; then
    cargo build --release --locked --quiet --manifest-path "$here/../Cargo.toml"
    PROGRAMS=${CARGO_TARGET_DIR:-$here/../target}/release
fi

export PROGRAMS
if [ -z "${IN_OWN_NETWORK:-}" ]; then
    IN_OWN_NETWORK=yes exec unshare --user --map-root-user --net "$0" "$rounds" "${works[@]}"
fi
ip link set lo up mtu "${MTU:-1500}"

home=$(mktemp -d "${TMPDIR:-/tmp}/caffeine-attacks.XXXXXX")
caffeine() { HOME=$home XDG_STATE_HOME=$home/state "$PROGRAMS/caffeine" -n attacked "$@"; }
attacker=
finish() {
    [ -z "$attacker" ] || kill "$attacker" 2>/dev/null || true
    caffeine --stop >/dev/null 2>&1 || true
    rm -rf "$home"
}
trap finish EXIT
trap 'exit 130' INT TERM

mkdir "$home/handlers"
cc -O2 -static -DHOSTED -o "$home/handlers/hello" "$here/handlers/hello.c"
cat >"$home/large.c" <<'END'
#include <unistd.h>
int main(void) {
    static const char head[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    static char piece[1 << 14];
    if (write(1, head, sizeof head - 1) < 0)
        return 1;
    for (int i = 0; i < 64; i++)
        if (write(1, piece, sizeof piece) != sizeof piece)
            return 1;
    return 0;
}
END
cc -O2 -static -o "$home/handlers/large" "$home/large.c"

attack() { # -H, -B, -R or -X
    local path=/hello
    [ "$1" = -X ] && path=/large
    # Follow-up data each second, far below any rate that is one; windows of a few bytes.
    exec nice -n 19 slowhttptest "$1" -c "$connections" -r 500 -i 1 -l "$each" -x 10 -w 8 -y 16 -n 1 -z 5 -p 30 \
        -u "http://127.0.0.1:$port$path" >"$home/attacker" 2>&1
}

# The rows of the workers, as `awk` wants them.
workers() { caffeine --status | awk '$1 ~ /^[0-9]+$/ && NF == 11 { print $2, $6 }'; }
open() { workers | awk '{ sum += $2 } END { print sum + 0 }'; }
handlers() { pgrep -c -P "$(workers | awk '{ printf "%s%s", (NR > 1 ? "," : ""), $1 }')" || true; }

run() { # WORK ROUND quiet|-H|-B|-R|-X
    local held running left late=0
    if [ "$3" != quiet ]; then
        attack "$3" &
        attacker=$!
    fi
    "$PROGRAMS/loadgen" -q -r 200 -w 0s -d "${each}s" --interval "$((2 * each))s" --timeout 30s --csv "$home/run.csv" \
        "http://127.0.0.1:$port/hello" >"$home/loadgen" 2>&1 &
    local load=$!
    sleep $((each / 2))
    held=$(open)
    running=$(handlers)
    if ! wait "$load"; then
        late=1
        grep -q 'sent late' "$home/loadgen" || { cat "$home/loadgen" >&2; exit 1; }
    fi
    if [ -n "$attacker" ]; then
        kill "$attacker" 2>/dev/null || true
        wait "$attacker" || true
        attacker=
    fi
    for _ in {1..100}; do
        left=$(($(open) + $(handlers)))
        ((left == 0)) && break
        sleep 0.1
    done
    awk -F, -v row="$1,$2,$3" -v held="$held" -v running="$running" -v late="$late" -v left="$left" '
        NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
        $at["completed"] > 0 { print row "," $at["response_p50_us"] "," $at["response_p99_us"] "," $at["response_max_us"] "," \
            $at["completed"] "," $at["failed"] "," held "," running "," late "," left }' "$home/run.csv" | tail -n 1 >>"$home/runs"
}

for work in "${works[@]}"; do
    ready=$(caffeine -D -p 0 --bind 127.0.0.1 -w 2 --path "$home/handlers" --respond "$work")
    port=${ready##*127.0.0.1:}
    port=${port%%,*}
    for ((round = 1; round <= rounds; round++)); do
        for kind in quiet -H -B quiet -R -X; do
            run "$work" "$round" "$kind"
            echo "$work, round $round of $rounds, $kind: p99 $(tail -n 1 "$home/runs" | cut -d, -f5) us" >&2
        done
    done
    caffeine --stop >/dev/null
done

awk -F, '
    function median(list, n,    values, i, j, swap) {
        split(list, values, " ")
        for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++)
            if (values[j] + 0 < values[i] + 0) { swap = values[i]; values[i] = values[j]; values[j] = swap }
        low = values[1]; high = values[n]
        return n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
    }
    { row[NR] = $0 }
    $3 == "quiet" { quiet[$1, $2] += $5 / 2; part[$1, $2] = part[$1, $2] " " $5 }
    END {
        print "| work | attack | p50 us | p99 us | ratio of p99 to quiet | max us | failed | late | connections held | handlers | left after |"
        print "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
        for (i = 1; i <= NR; i++) {
            split(row[i], f, ",")
            key = f[1] " | " f[3]
            if (!(key in n)) order[++keys] = key
            n[key]++
            p50[key] = p50[key] " " f[4]; p99[key] = p99[key] " " f[5]; most[key] = most[key] " " f[6]
            failed[key] += f[8]; held[key] = held[key] " " f[9]; handlers[key] = handlers[key] " " f[10]
            late[key] += f[11]; left[key] += f[12]
            split(part[f[1], f[2]], two, " ")
            restless = two[1] > 2 * two[2] || two[2] > 2 * two[1]
            if (f[3] != "quiet" && restless) continue
            if (f[3] != "quiet") { ratio[key] = ratio[key] " " f[5] / quiet[f[1], f[2]]; ratios[key]++ }
            else if (++seen[f[1], f[2]] == 2) {
                ratio[key] = ratio[key] " " two[2] / two[1]; ratios[key]++; void += restless
            }
        }
        for (k = 1; k <= keys; k++) {
            key = order[k]
            line = sprintf("| %s | %.0f | %.0f", key, median(p50[key], n[key]), median(p99[key], n[key]))
            line = line sprintf(" [%.0f, %.0f]", low, high)
            if (!ratios[key]) line = line " | none"
            else line = line sprintf(" | %.2f", median(ratio[key], ratios[key])) sprintf(" [%.2f, %.2f]", low, high)
            median(most[key], n[key])
            printf "%s | %.0f | %d | %d | %.0f | %.0f | %d |\n", line, high, failed[key], late[key], median(held[key], n[key]), \
                median(handlers[key], n[key]), left[key]
        }
        if (void) print "\nThe machine was restless in " void " rounds (quiet runs apart by more than 2): they have no ratios."
    }' "$home/runs"
