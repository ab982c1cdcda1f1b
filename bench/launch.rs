//! Launching a program that does nothing: until it is executed, as a worker waits, and until it has exited.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use caffeine::sys::cstrings::CStrings;
use caffeine::sys::spawn::{Order, Spawner};
use criterion::Criterion;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

/// Starts `/bin/true` and returns its process id.
struct Launch {
    spawner: Spawner,
    arguments: CStrings,
    environment: CStrings,
    null: File,
}

impl Launch {
    fn new() -> Self {
        let (mut arguments, mut environment) = (CStrings::default(), CStrings::default());
        arguments.push(&[b"true"]);
        environment.push(&[b"PATH=/usr/bin:/bin"]);
        let null = File::options().write(true).open("/dev/null").unwrap();
        Self { spawner: Spawner::new().unwrap(), arguments, environment, null }
    }

    fn start(&mut self) -> Pid {
        let order = Order {
            program: c"/bin/true",
            arguments: &mut self.arguments,
            environment: &mut self.environment,
            directory: c"/",
            stdin: None,
            stdout: self.null.as_fd(),
            stderr: None,
            pid: None,
            alarm_s: 0,
            limits: &[],
            clear_mask: false,
        };
        Pid::from_raw(self.spawner.spawn(order, false).unwrap().pid)
    }
}

/// Both measurements. Every process is reaped before the next starts, so that they do not compete.
pub fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("launch");
    group.bench_function("until it executes", |bencher| {
        let mut launch = Launch::new();
        bencher.iter_custom(|times| {
            let mut total = Duration::ZERO;
            for _ in 0..times {
                let begun = Instant::now();
                let pid = launch.start();
                total += begun.elapsed();
                waitpid(pid, None).unwrap();
            }
            total
        });
    });
    group.bench_function("until it has ended", |bencher| {
        let mut launch = Launch::new();
        bencher.iter(|| waitpid(launch.start(), None).unwrap());
    });
    group.finish();
}
