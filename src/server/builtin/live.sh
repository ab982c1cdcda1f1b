#!/bin/sh
# A page with the counters of this instance as they change. Put in place by `caffeine --deploy-builtin live`.
# The path of the page followed by /events is the stream of counters: one JSON object per second (Server-Sent Events).
status() {
    @PROGRAM@ --name "$CAFFEINE_INSTANCE" --state-dir @STATE@ --status --json | tr -d '\n'
}
case ${PATH_INFO-} in
/events)
    printf 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n'
    printf 'X-Accel-Buffering: no\r\nConnection: close\r\n\r\n'
    while text=$(status) && [ -n "$text" ]; do
        printf 'data: %s\n\n' "$text" || exit 0
        # A stop waits for handlers.
        case $text in *'"stopping": true'*) exit 0 ;; esac
        sleep 1
    done
    ;;
'')
    printf 'HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n'
    printf "Content-Security-Policy: default-src 'self' 'unsafe-inline'; img-src data:\r\nConnection: close\r\n\r\n"
    cat <<'END'
@PAGE@END
    ;;
*)
    printf 'HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nthere is only /events\n'
    ;;
esac
