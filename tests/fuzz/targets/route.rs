//! The router with arbitrary paths: it never accesses anything outside the base directory.
#![no_main]

use std::path::{Component, Path, PathBuf};

use caffeine::cgi::route::{self, Kind};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, u64)| {
    let (path, mut answers) = input;
    let base = Path::new("/base/of handlers");
    let mut probe = |asked: &mut PathBuf| {
        let below = asked.strip_prefix(base).expect("only what is below the base is looked at");
        assert!(below.components().all(|part| matches!(part, Component::Normal(_))), "{asked:?}");
        assert!(!asked.as_os_str().as_encoded_bytes().contains(&0));
        let answer = answers & 3;
        answers = answers.rotate_right(2);
        match answer {
            0 => Kind::Directory,
            1 => Kind::File { executable: true },
            2 => Kind::File { executable: false },
            _ => Kind::Missing,
        }
    };
    match route::resolve(base, path, &mut probe) {
        Ok(route) => {
            assert!(route.handler.starts_with(base) && route.directory.starts_with(base));
            assert!(route.handler != base && route.script_name.starts_with(b"/"));
            assert!(route.path_info.is_none_or(|info| info.starts_with(b"/") && !info.contains(&0)));
        }
        Err(refusal) => assert!(matches!(refusal.status, 400 | 403 | 404)),
    }
});
