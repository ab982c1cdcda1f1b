//! The environment of a handler: from a parsed head to the block of strings for `execve`.

use std::collections::BTreeMap;
use std::path::Path;

use caffeine::cgi::area::Area;
use caffeine::cgi::launch::{HANDLER_PATH, Launcher, SOFTWARE, Terms};
use caffeine::cgi::meta::{self, Instance, Request};
use caffeine::cgi::response::Response;
use caffeine::cgi::route::{Kind, resolve};
use caffeine::cgi::stderr::{Pipes, Table};
use caffeine::http::forwarded::Origin;
use caffeine::http::limits::Limits;
use caffeine::http::request;
use caffeine::sys::cstrings::CStrings;
use criterion::Criterion;

use crate::request::{LARGE, SMALL};

fn instance<'a>(base: &'a Path, extra: &'a BTreeMap<String, String>) -> Instance<'a> {
    Instance {
        name: "bench",
        software: SOFTWARE,
        path_var: HANDLER_PATH,
        port: 8080,
        proxied: false,
        server_name_default: "localhost",
        base,
        worker: 0,
        extra,
        more: None,
    }
}

/// The launcher of a worker for handlers below `base`.
pub fn launcher<'a>(base: &'a Path, extra: &'a BTreeMap<String, String>) -> Launcher<'a> {
    let table = Box::leak(Box::new(Table::new(1).unwrap()));
    let stderr = Box::leak(Box::new(Pipes::new(table, 0, Vec::new())));
    let terms = Terms { stderr, clear_mask: false, leases: None };
    let own = Area {
        mount: None,
        instance: instance(base, extra),
        response: Response::Native,
        alarm_s: 0,
        limits: Vec::new(),
    };
    Launcher::new(terms, vec![own]).unwrap()
}

/// The per-request part, after the part shared by all requests of a worker.
pub fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("environment");
    let (base, extra) = (Path::new("/srv/handlers"), BTreeMap::new());
    let instance = instance(base, &extra);
    for (name, text) in [("small", SMALL), ("large", LARGE)] {
        group.bench_function(name, |bencher| {
            let mut slots = request::slots();
            let head = request::parse(text.as_bytes(), &mut slots, &Limits::default()).unwrap().unwrap();
            let route = resolve(base, head.path, &mut |_| Kind::File { executable: true }).unwrap();
            let origin = Origin::of(([127, 0, 0, 1], 54321).into());
            let request = Request {
                head: &head,
                route: &route,
                origin: &origin,
                remote_addr: "127.0.0.1",
                local_name: None,
                content_length: None,
            };
            let (mut environment, mut scratch) = (CStrings::default(), Vec::new());
            meta::fixed(&mut environment, &instance);
            let constant = environment.len();
            bencher.iter(|| {
                environment.truncate(constant);
                meta::request(&mut environment, &mut scratch, &instance, &request);
                environment.len()
            });
        });
    }
    group.finish();
}
