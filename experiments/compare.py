"""Measures Caffeine against the C yardsticks and the installed peers, and judges the ratios.

Started by compare.sh, which builds the programs. Method: a family is one piece of work (a handler, or an
accept mode) with a reference that stands in it twice, as an A/A pair. Per round, family and concurrency every
server of the family runs once, in shuffled order, one at a time, started fresh on a port of its own, driven by
the same client. A ratio is taken within the round, against the geometric mean of the pair; its median gets a
bootstrap 95 % interval over the rounds. Where the median of A/A leaves 0.97 to 1.03 the block is void.
CPU is that of the whole machine (busy jiffies of /proc/stat per request), client included.

Modes: cgi (a process per request), fixed (accept and a fixed reply), strategies (the same, each listener strategy
against the least that its mechanism can be in C, or against nginx where that is the best known), memory (PSS and
wake-ups at rest), report FILE (judges a runs.csv again).
"""

import argparse
import csv
import datetime
import math
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SEARCH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
COLUMNS = "family c round place server role rps ok err stuck p50 p90 p99 p999 max cpu_us steal".split()
WORKERS = 4
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Server:
    """How to start one server: its name in the tables, its role in the family, argv as a function of port and folder."""

    def __init__(self, name, role, argv, url="/hello"):
        self.name, self.role, self.argv, self.url = name, role, argv, url


# --- The servers ----------------------------------------------------------------------------------------


def pair(name, argv):
    """The A/A pair: one program under two names."""
    return [Server(f"{name} A", "A", argv), Server(f"{name} B", "B", argv)]


def reference(options, name, mode, handler=None):
    return pair(name, lambda port, _: [options.fixed, mode, str(port), str(WORKERS)] + ([handler] if handler else []))


def caffeine(options, listener, handler=None):
    def argv(port, folder):
        handlers = folder / "handlers"
        handlers.mkdir()
        if handler:
            shutil.copy(handler, handlers / "hello")
        command = [options.caffeine, "-n", "compare", "--state-dir", str(folder / "state"), "--bind", "127.0.0.1"]
        command += ["-p", str(port), "-w", str(WORKERS), "--listener", listener, "--path", str(handlers)]
        return command + ["--log-level", options.log_level] + ([] if handler else ["--respond", "fixed"])

    return Server(f"caffeine {listener}", "ours", argv)


def lighttpd(program, handler):
    def argv(port, folder):
        shutil.copy(handler, folder / "hello")
        (folder / "conf").write_text(
            f'server.document-root = "{folder}"\nserver.bind = "127.0.0.1"\nserver.port = {port}\n'
            f'server.max-worker = {WORKERS}\nserver.listen-backlog = 4096\nserver.max-fds = 4096\n'
            'server.modules = ("mod_cgi")\ncgi.assign = ("/hello" => "")\n'
        )
        return [program, "-D", "-f", str(folder / "conf")]

    return Server("lighttpd", "peer", argv)


def busybox(program, handler):
    def argv(port, folder):
        (folder / "cgi-bin").mkdir()
        shutil.copy(handler, folder / "cgi-bin" / "hello")
        return [program, "httpd", "-f", "-p", f"127.0.0.1:{port}", "-h", str(folder)]

    return Server("busybox httpd", "peer", argv, "/cgi-bin/hello")


def nginx(program, mode):
    def argv(port, folder):
        reuseport = " reuseport" if mode == "reuseport" else ""
        mutex = "on" if mode == "mutex" else "off"
        user = "user root;" if os.geteuid() == 0 else ""
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "conf").write_text(
            f"{user} daemon off; worker_processes {WORKERS}; pid {folder}/pid; error_log {folder}/error;\n"
            f"events {{ worker_connections 4096; accept_mutex {mutex}; }}\n"
            f"http {{ access_log off; {temporary}\n server {{ listen 127.0.0.1:{port}{reuseport} backlog=4096;\n"
            '  location / { return 200 "hello\\n"; } } }\n'
        )
        return [program, "-c", str(folder / "conf"), "-e", str(folder / "error")]

    return Server(f"nginx {mode}", "peer", argv)


# The mechanism in C (a mode of reference/strategies.c), and which strategies are held against it.
MECHANISMS = {
    "block": ["inherited", "inherited-delay"],
    "reuseport": ["reuseport", "reuseport:private", "reuseport-steal"],
    "cbpf": ["reuseport-cbpf:random"],
    "herd": ["inherited-herd"],
    "exclusive": ["inherited-exclusive"],
    "rearm": ["inherited-rearm"],
    "steal": ["reuseport-steal"],
    "turn": ["round-robin:wait", "round-robin:skip"],
    "uring": ["uring"],
}


def strategies(options, program):
    """Per mechanism its C loop twice, our strategies, and nginx (`program`) where it has the same."""
    built = {}
    for mode, listeners in MECHANISMS.items():
        least = lambda port, _, mode=mode: [options.strategies, mode, str(port), str(WORKERS)]
        built[mode] = pair(f"C {mode}", least) + [caffeine(options, listener) for listener in listeners]
        if program and mode in ("exclusive", "reuseport"):
            built[mode].append(nginx(program, mode))
    passing = lambda port, _: [options.dispatch, str(port), str(WORKERS)]
    built["dispatch"] = pair("C dispatch", passing) + [caffeine(options, name) for name in ("dispatch", "least-loaded")]
    if program:
        mutex = nginx(program, "mutex").argv
        built["mutex"] = pair("nginx mutex", mutex) + [caffeine(options, "inherited-mutex")]
    return built


def families(options):
    """What is compared with what, by mode."""
    found = {name: shutil.which(name, path=SEARCH) for name in ("lighttpd", "busybox", "nginx")}
    built = {}
    if options.mode == "strategies":
        built = strategies(options, found["nginx"])
    elif options.mode == "fixed":
        for mode, listener in (("block", "inherited"), ("reuseport", "reuseport")):
            servers = reference(options, f"C {mode}", mode) + [caffeine(options, listener)]
            built[mode] = servers + ([nginx(found["nginx"], mode)] if found["nginx"] else [])
    else:
        for handler in options.handler.split(","):
            whole, headers = (str(options.programs / f"{handler}-{form}") for form in ("nph", "cgi"))
            servers = reference(options, "C ceiling", "cgi", whole) + [caffeine(options, "inherited", whole)]
            servers += [lighttpd(found["lighttpd"], headers)] if found["lighttpd"] else []
            servers += [busybox(found["busybox"], whole)] if found["busybox"] else []
            built[handler] = servers
    if options.servers:
        wanted = options.servers.split(",")
        keep = lambda server: server.role in "AB" or any(part in server.name for part in wanted)
        built = {family: [server for server in servers if keep(server)] for family, servers in built.items()}
    if options.families:
        unknown = set(options.families.split(",")) - set(built)
        if unknown:
            sys.exit(f"compare: no family {', '.join(sorted(unknown))}; there are {', '.join(built)}")
        built = {family: built[family] for family in options.families.split(",")}
    return built


# --- Running --------------------------------------------------------------------------------------------


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


def answers(port, url):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(f"GET {url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            return b" 200" in connection.recv(64)
    except OSError:
        return False


class Running:
    """A server that answers, in a folder of its own; stopped and gone at the end of the `with`."""

    def __init__(self, server):
        self.server, self.port = server, free_port()

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="caffeine-server."))
        self.output = open(self.folder / "output", "w+")
        argv = self.server.argv(self.port, self.folder)
        # A session of its own: lighttpd ends by signalling its whole process group.
        self.process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output, start_new_session=True
        )
        try:
            self.wait_until_it_answers(argv)
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait_until_it_answers(self, argv):
        deadline = time.monotonic() + 10
        while not answers(self.port, self.server.url):
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "output").read_text()[-2000:]
                sys.exit(f"compare: {self.server.name} does not answer on port {self.port}\n{' '.join(argv)}\n{said}")
            time.sleep(0.01)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # whatever is left of the session we started
        except ProcessLookupError:
            pass
        self.process.wait()
        self.output.close()
        shutil.rmtree(self.folder)

    def processes(self):
        """The server's process and all its descendants."""
        found = [self.process.pid]
        for pid in found:
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        return found


def machine_ticks():
    """Busy and stolen jiffies of all CPUs together."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return user + nice + system + irq + softirq, steal


def drive(options, server, c):
    """One run: the fields of its row that come from measuring."""
    environment = dict(os.environ, EXPECT="hello" if options.mode == "cgi" else "")
    with Running(server) as running:
        busy, steal = machine_ticks()
        command = [options.rawload, str(running.port), server.url, str(c), str(options.seconds)]
        said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
        busy, steal = (after - before for after, before in zip(machine_ticks(), (busy, steal)))
    row = dict(zip(said[::2], map(float, said[1::2])))
    row["cpu_us"] = round(busy * TICK_S * 1e6 / max(row["ok"], 1), 1)
    row["steal"] = steal
    return {name: row[name] for name in COLUMNS if name in row}


def measure(options, path):
    """All rounds, every row written as soon as it is known."""
    work = families(options)
    cells = [(family, c) for family in work for c in map(int, options.c.split(","))]
    runs = options.rounds * sum(len(work[family]) for family, _ in cells)
    print(f"{runs} runs of {options.seconds:g} s, about {runs * (options.seconds + 0.4) / 60:.0f} min, into {path}")
    shuffle = random.Random(options.seed).shuffle
    with open(path, "x", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        for number in range(1, options.rounds + 1):
            shuffle(cells)
            for family, c in cells:
                shuffle(work[family])
                for place, server in enumerate(work[family]):
                    about = {"family": family, "c": c, "round": number, "place": place}
                    about |= {"server": server.name, "role": server.role}
                    table.writerow(about | drive(options, server, c))
                    file.flush()
            print(f"round {number} of {options.rounds}", flush=True)


# --- Judging --------------------------------------------------------------------------------------------


def interval(ratios):
    """Median and bootstrap 95 % interval over the rounds. The seed is fixed: a report redraws the same."""
    draw = random.Random(1)
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(4000))
    return statistics.median(ratios), medians[100], medians[3899]


def shown(ratios):
    return "{:.3f} [{:.3f}, {:.3f}]".format(*interval(ratios))


def judge(rows):
    """The tables of one block of runs, as Markdown lines."""
    rounds = sorted({row["round"] for row in rows})
    cell = {(row["round"], row["server"]): row for row in rows}
    roles = {row["server"]: row["role"] for row in rows}
    first, second = (next(name for name, role in roles.items() if role == wanted) for wanted in "AB")
    tail = lambda row: row["p99"] / row["p50"]
    figures = {"requests/s": lambda row: row["rps"], "p99/p50": tail, "CPU us/request": lambda row: row["cpu_us"]}

    def ratios(server, figure):
        pair = lambda number: math.sqrt(figure(cell[number, first]) * figure(cell[number, second]))
        return [figure(cell[number, server]) / pair(number) for number in rounds]

    same = [cell[number, second]["rps"] / cell[number, first]["rps"] for number in rounds]
    verdict = "valid" if 0.97 <= interval(same)[0] <= 1.03 else "VOID: the reference differs from itself"
    if len(rounds) < 10:
        verdict += f"; {len(rounds)} rounds are too few to judge by"
    yield f"A/A {shown(same)}: {verdict}"
    yield ""
    yield "| server | requests/s | p50 us | p99 us | CPU us | errors | " + " | ".join(f"{name} ratio" for name in figures) + " |"
    yield "| --- " * (6 + len(figures)) + "|"
    peers = [name for name, role in roles.items() if role == "peer"]
    ours = [name for name, role in roles.items() if role == "ours"]
    for server in [first, second] + ours + sorted(peers):
        own = [cell[number, server] for number in rounds]
        middle = lambda key: f"{statistics.median(row[key] for row in own):.0f}"
        errors = f"{sum(row['err'] + row['stuck'] for row in own):.0f}"
        parts = [server] + [middle(key) for key in ("rps", "p50", "p99", "cpu_us")] + [errors]
        parts += ["" if roles[server] in "AB" else shown(ratios(server, figure)) for figure in figures.values()]
        yield "| " + " | ".join(parts) + " |"
    for server in ours:
        for peer in sorted(peers):
            against = [cell[number, server]["rps"] / cell[number, peer]["rps"] for number in rounds]
            yield f"\n{server} against {peer}: {shown(against)} times the requests/s"


def report(path):
    """Everything a runs.csv says. Rounds that were cut short are left out."""
    words = ("family", "server", "role")
    with open(path, newline="") as file:
        rows = [{key: value if key in words else float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    for family, c in sorted({(row["family"], row["c"]) for row in rows}):
        block = [row for row in rows if (row["family"], row["c"]) == (family, c)]
        servers = len({row["server"] for row in block})
        counts = {number: sum(row["round"] == number for row in block) for number in {row["round"] for row in block}}
        block = [row for row in block if counts[row["round"]] == servers]
        yield f"## {family}, c={c:.0f}, {len({row['round'] for row in block})} rounds"
        yield ""
        yield from judge(block)
        yield ""


# --- Memory ---------------------------------------------------------------------------------------------


def status_sum(pids, file, key):
    """The sum of one `Key: value` line over all threads of some processes."""
    lines = [line for pid in pids for path in pathlib.Path("/proc").glob(f"{pid}/{file}") for line in path.open()]
    return sum(int(line.split()[1]) for line in lines if line.startswith(key))


def memory(options):
    """PSS at rest and after load, and wake-ups at rest: context switches over the given seconds."""
    servers = next(iter(families(options).values()))
    yield f"| server | processes | PSS at rest kB | PSS after {options.seconds:g} s of load kB | context switches in {options.seconds:g} s at rest |"
    yield "| --- | --- | --- | --- | --- |"
    for server in servers:
        if server.role == "B":
            continue
        with Running(server) as running:
            time.sleep(0.5)  # at rest: the answer to the readiness probe is over
            pids = running.processes()
            rest = status_sum(pids, "smaps_rollup", "Pss:")
            switches = -status_sum(pids, "task/*/status", "voluntary_ctxt_switches")
            time.sleep(options.seconds)
            switches += status_sum(pids, "task/*/status", "voluntary_ctxt_switches")
            subprocess.run(
                [options.rawload, str(running.port), server.url, "8", str(options.seconds)],
                stdout=subprocess.DEVNULL, check=True,
            )
            time.sleep(0.5)
            loaded = status_sum(running.processes(), "smaps_rollup", "Pss:")
        yield f"| {server.name} | {len(pids)} | {rest} | {loaded} | {switches} |"


def main():
    parser = argparse.ArgumentParser(
        prog="compare.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mode", choices=["cgi", "fixed", "strategies", "memory", "report"], nargs="?", default="cgi")
    parser.add_argument("file", nargs="?", help="for report: a runs.csv")
    parser.add_argument("--rounds", type=int, default=10, help="default 10; fewer give estimates only")
    parser.add_argument("--seconds", type=float, default=3, help="length of a run, default 3")
    parser.add_argument("--c", default="1,8,64", help="connections at once, default 1,8,64")
    parser.add_argument("--handler", default="nolibc,glibc", help="default nolibc,glibc")
    parser.add_argument("--servers", help="only these beside the reference, e.g. caffeine,lighttpd")
    parser.add_argument("--families", help="only these blocks, e.g. nolibc, or in the mode strategies block,uring")
    parser.add_argument("--log-level", default="INFO", help="Caffeine's, default INFO: a line per request")
    parser.add_argument("--seed", type=int, default=1, help="of the order of the runs, default 1")
    parser.add_argument("--programs", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--results", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every `with` ends its server
    if options.mode == "report":
        if not options.file:
            parser.error("report needs the runs.csv to judge")
        print("\n".join(report(options.file)))
        return
    for name in ("fixed", "strategies", "dispatch", "rawload", "caffeine"):
        setattr(options, name, str(options.programs / name))
    if options.mode == "memory":
        for line in memory(options):
            print(line, flush=True)
        return
    folder = options.results / f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H-%M-%SZ}-{options.mode}"
    folder.mkdir(parents=True)
    measure(options, folder / "runs.csv")
    text = "\n".join(report(folder / "runs.csv"))
    (folder / "report.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
