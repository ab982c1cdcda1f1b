//! From a path to a handler: the path walk alone, and with the file system.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use caffeine::cgi::route::{Kind, resolve};
use caffeine::http::limits::Limits;
use caffeine::http::request;
use criterion::Criterion;
use std::hint::black_box;

const PATH: &str = "/shop/item/4711/with%20a%20space";

/// The handler is the second segment; two more are its PATH_INFO.
pub fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route");
    group.bench_function("pure", |bencher| {
        let base = Path::new("/srv/handlers");
        let mut probe = |path: &mut PathBuf| {
            if path.ends_with("item") { Kind::File { executable: true } } else { Kind::Directory }
        };
        bencher.iter(|| resolve(base, black_box(PATH), &mut probe));
    });
    group.bench_function("file system", |bencher| {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir(base.path().join("shop")).unwrap();
        let handler = base.path().join("shop/item");
        std::fs::write(&handler, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&handler, std::fs::Permissions::from_mode(0o755)).unwrap();
        let variables = Default::default();
        let mut launcher = crate::environment::launcher(base.path(), &variables);
        let (text, mut slots) = (format!("GET {PATH} HTTP/1.0\r\n\r\n"), request::slots());
        let head = request::parse(text.as_bytes(), &mut slots, &Limits::default()).unwrap().unwrap();
        bencher.iter(|| launcher.find(black_box(&head)).is_ok());
    });
    group.finish();
}
