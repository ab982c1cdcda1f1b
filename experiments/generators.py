"""Runs loadgen and other load generators (wrk, ab, h2load, a minimal C client) against the same server.

Started by generators.sh, which builds the programs. Each round runs every generator once, in shuffled order, against one
server that stays up. It prints medians over the rounds; they are estimates, and nothing is judged by them. CPU is what the
generator's own process used, user and system.

Modes:
  cost       one connection per request, closed loop: CPU seconds per 100,000 requests, and requests/s
  kept       the same with connections kept alive
  agree      as cost, against two workers that are busy for 2 ms per request: the server is the limit, so all generators
             should measure the same rate
  agree-kept the same with connections kept alive
  latency    open loop at a constant rate while tcpdump captures the loopback device: service times of loadgen, and the
             times from the first SYN to the last packet of the server (needs root)
  lag        open loop at half the server's capacity: send lag of loadgen and of a loop that only keeps a schedule. First
             with one core for the server (0.4 ms of work per request) and one for loadgen, sleeping or spinning between
             starts; then with two workers and loadgen on all cores
  stall      a server that stalls for 1 s: percentiles of loadgen, and those computed from the server's timestamps and the
             schedule
"""

import argparse
import json
import math
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

WORKERS = 2


def free_port():
    """A port below the range from which clients draw theirs, so that no client can sit on it."""
    lowest = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(lowest // 2, lowest)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Running:
    """A server that listens; gone at the end of the `with`."""

    def __init__(self, argv, port):
        self.argv, self.port = argv, port

    def __enter__(self):
        self.process = subprocess.Popen(
            self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.__exit__()
                    sys.exit(f"generators: no server on port {self.port}: {' '.join(self.argv)}")
                time.sleep(0.01)

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def server(options, port, prefix=(), workers=WORKERS):
    """The server: the minimal C one, or Caffeine where connections are kept alive or workers are busy."""
    if options.mode in ("cost", "lag"):
        return Running([*prefix, options.fixed, "block", str(port), str(workers)], port)
    return caffeine(options, port, "sleep:const(2ms)" if options.mode.startswith("agree") else "fixed")


def caffeine(options, port, respond, prefix=(), workers=WORKERS):
    folder = tempfile.mkdtemp(prefix="caffeine-generators.", dir=options.scratch)
    command = [*prefix, options.caffeine, "-n", "generators", "--state-dir", folder, "--path", folder]
    command += ["--bind", "127.0.0.1", "-p", str(port), "-w", str(workers), "--respond", respond]
    return Running(command, port)


# --- Generators -----------------------------------------------------------------------------------------


def used(argv, environment=None):
    """Runs a program. Returns its output and its CPU seconds."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        return output.read(), usage.ru_utime + usage.ru_stime


def record_of(text):
    """loadgen's record, with its remarks on stderr around it."""
    return json.JSONDecoder().raw_decode(text[text.index("{\n"):])[0]


def number(pattern, text, what):
    found = re.search(pattern, text)
    if not found:
        sys.exit(f"generators: {what} wrote no such figure:\n{text[-2000:]}")
    return float(found.group(1).replace(",", ""))


def listed(program):
    """How a program is called, which may be through another one."""
    return program if isinstance(program, list) else [program]


def program(options):
    return listed(options.loadgen)


def run_loadgen(options, port, c, threads, kept):
    argv = program(options) + [f"http://127.0.0.1:{port}/", "-c", str(c), "-t", str(threads), "-w", "0s"]
    argv += ["-d", f"{options.seconds}s", "--json", "-", "-q"] + (["--keep-alive"] if kept else [])
    text, cpu = used(argv)
    record = record_of(text)
    if record["errors"]:
        sys.exit(f"generators: loadgen met errors: {record['errors']} {record['examples']}")
    p99 = record["latency"]["service"]["p99_us"]
    # The other generators count only what completed before the end.
    within = record["rate"] * record["duration_s"]
    return within, record["duration_s"], cpu, record["latency"]["service"]["p50_us"], p99


def run_wrk(options, port, c, threads, kept):
    argv = ["wrk", "-t", str(threads), "-c", str(c), "-d", f"{math.ceil(options.seconds)}s", "--latency"]
    argv += [] if kept else ["-H", "Connection: close"]
    text, cpu = used(argv + [f"http://127.0.0.1:{port}/"])
    unit = {"us": 1, "ms": 1000, "s": 1e6}
    at = lambda q: (lambda m: float(m.group(1)) * unit[m.group(2)])(re.search(rf"{q}%\s+([\d.]+)(us|ms|s)", text))
    return number(r"(\d+) requests in", text, "wrk"), number(r"requests in ([\d.]+)s", text, "wrk"), cpu, at(50), at(99)


def run_rawload(options, port, c, *_):
    text, cpu = used([options.rawload, str(port), "/", str(c), str(options.seconds)], dict(os.environ, EXPECT=""))
    figure = lambda name: number(rf"{name} ([\d.]+)", text, "rawload")
    return figure("ok"), figure("ok") / figure("rps"), cpu, figure("p50"), figure("p99")


def run_ab(options, port, c, _threads, kept):
    # -t alone stops at 50,000 requests.
    argv = ["ab", "-q", "-t", str(math.ceil(options.seconds)), "-n", "10000000", "-c", str(c)] + (["-k"] if kept else [])
    text, cpu = used(argv + [f"http://127.0.0.1:{port}/"])
    at = lambda q: number(rf"{q}%\s+(\d+)", text, "ab") * 1000
    return (
        number(r"Complete requests:\s+(\d+)", text, "ab"),
        number(r"Time taken for tests:\s+([\d.]+)", text, "ab"),
        cpu, at(50), at(99),
    )


def run_h2load(options, port, c, threads, _kept):
    argv = ["h2load", "--h1", "-t", str(threads), "-c", str(c), "-D", str(math.ceil(options.seconds))]
    text, cpu = used(argv + [f"http://127.0.0.1:{port}/"])
    unit = {"us": 1, "ms": 1000, "s": 1e6}
    mean = re.search(r"time for request:\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)", text)
    mean_us = float(mean.group(1)) * unit[mean.group(2)] if mean else math.nan
    done, rate = number(r"(\d+) succeeded", text, "h2load"), number(r"([\d.]+) req/s", text, "h2load")
    return done, done / rate, cpu, mean_us, math.nan


def is_kept(options):
    return options.mode in ("kept", "agree-kept")


def generators(options):
    """Name, function and number of threads of each installed generator."""
    kept = is_kept(options)
    found = [("loadgen -t1", run_loadgen, 1), ("wrk -t1", run_wrk, 1)]
    found += [("loadgen -t2", run_loadgen, 2), ("wrk -t2", run_wrk, 2), ("ab", run_ab, 1)]
    found += [("h2load", run_h2load, 1)] if kept else [("rawload", run_rawload, 1)]
    if options.mode.startswith("agree"):
        found = [one for one in found if one[2] == 1]
    installed = lambda name: shutil.which(name.split()[0]) or name.startswith(("loadgen", "rawload"))
    for name, _, _ in found:
        if not installed(name):
            print(f"{name}: not installed, left out")
    return [one for one in found if installed(one[0])]


# --- Side by side ---------------------------------------------------------------------------------------


def side_by_side(options):
    port, shuffle = free_port(), random.Random(options.seed).shuffle
    contestants, kept = generators(options), is_kept(options)
    with server(options, port):
        for c in map(int, options.c.split(",")):
            rounds = []
            for _ in range(options.rounds):
                order, row = list(contestants), {}
                shuffle(order)
                for name, run, threads in order:
                    done, seconds, cpu, p50_us, p99_us = run(options, port, c, threads, kept)
                    row[name] = {"rate": done / seconds, "cpu": cpu / done * 1e5, "p50": p50_us, "p99": p99_us}
                    time.sleep(0.2)
                rounds.append(row)
            yield from table(c, rounds, [name for name, _, _ in contestants])


def table(c, rounds, names):
    yield f"## c={c}, medians of {len(rounds)} rounds"
    yield ""
    yield "| generator | requests/s | p50 us | p99 us | CPU s per 100,000 |"
    yield "| --- | --- | --- | --- | --- |"
    for name in names:
        median = lambda key: statistics.median(row[name][key] for row in rounds)
        yield f"| {name} | {median('rate'):.0f} | {median('p50'):.0f} | {median('p99'):.0f} | {median('cpu'):.2f} |"
    yield ""


# --- Latency against a packet capture -------------------------------------------------------------------


def captured_us(path, port):
    """Time from the first SYN to the last packet with data or FIN from the server, per connection, in us."""
    begin, end = {}, {}
    data = path.read_bytes()
    nano = struct.unpack("<I", data[:4])[0] == 0xA1B23C4D
    at = 24
    while at + 16 <= len(data):
        seconds, fraction, length, _ = struct.unpack("<IIII", data[at:at + 16])
        frame, at = data[at + 16:at + 16 + length], at + 16 + length
        ip = frame[14:]
        if len(ip) < 40 or ip[0] >> 4 != 4 or ip[9] != 6:
            continue
        head = (ip[0] & 15) * 4
        source, target = struct.unpack(">HH", ip[head:head + 4])
        flags = ip[head + 13]
        stamp = seconds * 1e6 + fraction / (1000 if nano else 1)
        if target == port and flags & 0x12 == 0x02:
            begin.setdefault(source, []).append(stamp)
        elif source == port and flags & 0x01:
            end.setdefault(target, []).append(stamp)
    times = []
    for client, starts in begin.items():
        ends = sorted(end.get(client, []))
        for start in starts:
            last = next((stamp for stamp in ends if stamp > start), None)
            times += [last - start] if last else []
    return sorted(times)


def latency(options):
    port = free_port()
    yield f"loadgen at {options.rate}/s, one connection per request, and what a capture of the device says (us)"
    yield ""
    yield "| round | requests | captured | p50 loadgen | p50 capture | p99 loadgen | p99 capture | difference of the means |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    with server(options, port):
        for number_of_round in range(1, options.rounds + 1):
            path = pathlib.Path(options.scratch) / "capture"
            watch = subprocess.Popen(
                ["tcpdump", "-i", "lo", "-B", "65536", "-U", "--immediate-mode", "-s", "96", "--time-stamp-precision=nano", "-w", str(path),
                 f"tcp port {port} and tcp[tcpflags] & (tcp-syn|tcp-fin) != 0"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )
            while "listening on" not in (line := watch.stderr.readline()):
                if not line:
                    sys.exit("generators: tcpdump cannot capture (it needs root)")
            argv = [options.loadgen, f"http://127.0.0.1:{port}/", "-r", str(options.rate), "-w", "0s"]
            text, _ = used(argv + ["-d", f"{options.seconds}s", "--json", "-", "-q"])
            time.sleep(0.5)
            watch.send_signal(signal.SIGINT)
            watch.communicate()
            record = record_of(text)
            times, ours = captured_us(path, port), record["latency"]["service"]
            at = lambda q: times[min(len(times) - 1, math.ceil(q * len(times)) - 1)]
            yield (
                f"| {number_of_round} | {record['completed']} | {len(times)} | {ours['p50_us']:.0f} | {at(0.5):.0f} | "
                f"{ours['p99_us']:.0f} | {at(0.99):.0f} | {ours['mean_us'] - statistics.mean(times):+.1f} |"
            )


# --- Send lag and a stall -------------------------------------------------------------------------------


def lag(options):
    port = free_port()
    if os.cpu_count() > 1 and shutil.which("taskset"):
        first, last = ["taskset", "-c", "0"], ["taskset", "-c", "1"]
        pinned = argparse.Namespace(**vars(options))
        pinned.loadgen, pinned.tick = last + [options.loadgen], last + [options.tick]
        busy = caffeine(options, port, "spin:const(400us)", first, 1)
        yield from lag_with(pinned, busy, port, "a core each, 0.4 ms of work", ["", "--spin"])
    yield from lag_with(options, server(options, port), port, "all cores, no work", [""])


def lag_with(options, running, port, where, ways):
    """Half of what the server can do, at equal intervals and Poisson; beside it a loop that only keeps its times."""
    def timed(way):
        argv = listed(options.tick) + [f"{rate:.0f}", str(options.seconds), "spin" if way else "sleep"]
        said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
        return dict(zip(said[::2], map(float, said[1::2]))), "OK"

    def sent(way, arrivals):
        argv = program(options) + [f"http://127.0.0.1:{port}/", "-r", f"{rate:.0f}", "-w", "500ms"] + way.split()
        argv += ["--arrivals", arrivals, "-d", f"{options.seconds}s", "--json", "-", "-q"]
        record = record_of(used(argv)[0])
        return record["latency"]["send_lag"], record["verdict"]

    with running:
        full = statistics.median(
            done / seconds for done, seconds, *_ in (run_loadgen(options, port, 16, 1, False) for _ in range(3))
        )
        rate = full / 2
        found = {}
        for _ in range(options.rounds):
            for way in ways:
                found.setdefault(f"a loop that only {'spins' if way else 'sleeps'}", []).append(timed(way))
                for arrivals in ("const", "poisson"):
                    found.setdefault(f"loadgen {way}".strip() + f", {arrivals}", []).append(sent(way, arrivals))
    yield f"{where}, {rate:.0f}/s of {full:.0f}/s, lateness of starts in us, {options.rounds} runs, sorted"
    for name, lags in found.items():
        verdicts = ", ".join(f"{sum(v == w for _, v in lags)} {w}" for w in sorted({v for _, v in lags}))
        row = lambda key: "/".join(f"{value:.0f}" for value in sorted(one[key] for one, _ in lags))
        yield f"  {name}: p50 {row('p50_us')}; p99 {row('p99_us')}; {verdicts}"


class Stalling(threading.Thread):
    """Answers at once, one connection after the other, but for one second in which it does nothing."""

    def __init__(self, begin_s, stall_s):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port, self.begin_s, self.stall_s = self.listener.getsockname()[1], begin_s, stall_s
        self.answered_s = []

    def run(self):
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
        started, stalled = None, False
        while True:
            connection, _ = self.listener.accept()
            started = started or time.monotonic()
            if not stalled and time.monotonic() > started + self.begin_s:
                stalled = True
                time.sleep(self.stall_s)
            with connection:
                connection.recv(4096)
                connection.sendall(answer)
            self.answered_s.append(time.time())


def stall(options):
    rate, seconds, pause = 500, 10, 1.0
    server_thread = Stalling(seconds / 2, pause)
    server_thread.start()
    url = f"http://127.0.0.1:{server_thread.port}/"
    argv = [options.loadgen, url, "-r", str(rate), "-w", "0s", "-d", f"{seconds}s", "--json", "-", "-q"]
    record = record_of(used(argv)[0])
    response, service = record["latency"]["response"], record["latency"]["service"]
    # Request i was due i / rate after the start, and the server answers them in their order.
    due_s = lambda i: record["clock"]["start_unix_s"] + i / rate
    times = sorted(at_s - due_s(i) for i, at_s in enumerate(server_thread.answered_s))
    by_hand = lambda q: times[max(0, math.ceil(q * len(times)) - 1)] * 1e6
    yield f"A server that stalls for {pause} s in {seconds} s at {rate}/s, percentiles in ms"
    yield ""
    yield "| | p50 | p90 | p99 | p99.9 | max |"
    yield "| --- | --- | --- | --- | --- | --- |"
    quantiles = (("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99), ("p999_us", 0.999), ("max_us", 1.0))
    yield "| server's stamps and the schedule | " + " | ".join(f"{by_hand(q) / 1e3:.1f}" for _, q in quantiles) + " |"
    yield "| loadgen, response | " + " | ".join(f"{response[key] / 1e3:.1f}" for key, _ in quantiles) + " |"
    yield "| loadgen, service | " + " | ".join(f"{service[key] / 1e3:.1f}" for key, _ in quantiles) + " |"
    if shutil.which("wrk"):
        for c in (1, 16):
            again = Stalling(seconds / 2, pause)
            again.start()
            argv = ["wrk", "-t1", f"-c{c}", "-d", f"{seconds}s", "--latency", "-H", "Connection: close", "--timeout", "5s"]
            text, _ = used(argv + [f"http://127.0.0.1:{again.port}/"])
            unit = {"us": 1e-3, "ms": 1, "s": 1e3}
            value = lambda found: float(found.group(1)) * unit[found.group(2)]
            p50, p90, p99 = (value(re.search(rf"{q}%\s+([\d.]+)(us|ms|s)", text)) for q in (50, 90, 99))
            slowest = value(re.search(r"Latency\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)", text))
            yield f"| wrk -c{c} (closed loop, no rate) | {p50:.1f} | {p90:.1f} | {p99:.1f} | | {slowest:.0f} |"


def main():
    parser = argparse.ArgumentParser(
        prog="generators.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mode", choices=["cost", "kept", "agree", "agree-kept", "latency", "lag", "stall"])
    parser.add_argument("--rounds", type=int, default=10, help="default 10")
    parser.add_argument("--seconds", type=float, default=3, help="length of a run, default 3")
    parser.add_argument("--c", default="16,64", help="connections at once, default 16,64")
    parser.add_argument("--rate", type=int, default=1000, help="of latency, per second, default 1000")
    parser.add_argument("--seed", type=int, default=1, help="of the order of the runs, default 1")
    parser.add_argument("--programs", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every `with` ends its server
    for name in ("fixed", "rawload", "tick", "caffeine", "loadgen"):
        setattr(options, name, str(options.programs / name))
    options.scratch = str(options.programs)
    modes = {"latency": latency, "lag": lag, "stall": stall}
    for line in modes.get(options.mode, side_by_side)(options):
        print(line, flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
