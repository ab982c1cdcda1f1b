#!/bin/sh
# The counters of this instance in the OpenMetrics format. Put in place by `caffeine --deploy-builtin metrics`.
if text=$(@PROGRAM@ --name "$CAFFEINE_INSTANCE" --state-dir @STATE@ --metrics); then
    printf 'HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n'
    printf 'Cache-Control: no-store\r\nConnection: close\r\n\r\n%s\n' "$text"
else
    printf 'HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n'
    printf 'the counters cannot be read; the log says why\n'
    exit 1
fi
