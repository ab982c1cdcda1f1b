//! Tests of mounts over a made-up file system. As in those of routing, the oracle of the traversal tests is what was asked
//! of it.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const BASE: &str = "/srv/app";
const RUNS: Kind = Kind::File { executable: true };

const ENTRIES: [(&str, Kind); 10] = [
    ("index", RUNS),
    ("tool", RUNS),
    ("text", Kind::File { executable: false }),
    ("fifo", Kind::Other),
    ("sub", Kind::Directory),
    ("sub/index", RUNS),
    ("sub/deep", Kind::Directory),
    ("sub/deep/tool", RUNS),
    ("quiet", Kind::Directory),
    ("quiet/index", Kind::File { executable: false }),
];

/// What `rest` leads to in a mount of handlers, and the paths that were asked for.
fn handlers(at: &str, rest: &str, without: &[&str]) -> (Result<Route, Refusal>, Vec<PathBuf>) {
    let entries: HashMap<_, _> = ENTRIES.into_iter().filter(|(name, _)| !without.contains(name)).collect();
    let mut asked = Vec::new();
    let found = Target::Handlers(BASE.into()).resolve(at, rest, &mut |path| {
        asked.push(path.clone());
        let below = path.strip_prefix(BASE).ok().and_then(Path::to_str);
        below.and_then(|below| entries.get(below).copied()).unwrap_or(Kind::Missing)
    });
    (found, asked)
}

/// The handler's file below the base, `SCRIPT_NAME` and `PATH_INFO`; or the status.
fn routed(at: &str, rest: &str) -> Result<[String; 3], u16> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let route = handlers(at, rest, &[]).0.map_err(|refusal| refusal.status)?;
    let file = route.handler.strip_prefix(BASE).unwrap().to_str().unwrap().to_owned();
    assert_eq!(Some(&*route.directory), route.handler.parent());
    Ok([file, text(&route.script_name), text(route.path_info.as_deref().unwrap_or(b"-"))])
}

#[test]
fn the_paths_below_a_mount_are_whole_segments() {
    for (at, path, rest) in [
        ("/git", "/git", Some("")),
        ("/git", "/git/", Some("/")),
        ("/git", "/git/a/b", Some("/a/b")),
        ("/git", "/gitweb", None),
        ("/git", "/%67it/a%2fb", Some("/a%2fb")),
        ("/git", "/git%2fa", None),
        ("/git", "//git", None),
        ("/git", "/gi", None),
        ("/git", "/", None),
        ("/git", "*", None),
        ("/a/b", "/a/b", Some("")),
        ("/a/b", "/a", None),
        ("/a b", "/a%20b/c", Some("/c")),
        ("/.well-known", "/.well-known/x", Some("/x")),
        ("/", "/", Some("/")),
        ("/", "/a", Some("/a")),
        ("/", "*", None),
        ("/", "", Some("")),
    ] {
        assert_eq!(below(at, path), rest, "{path} below {at}");
    }
}

#[test]
fn the_place_of_a_mount_is_a_plain_path() {
    for at in ["/", "/git", "/a/b", "/a b", "/.well-known", "/caf\u{e9}"] {
        assert_eq!(check_place(at), Ok(()), "{at}");
    }
    for at in [
        "", "git", "/git/", "//", "//a", "/a//b", "/..", "/a/../b", "/a/.", "/a%20b", "/a?b", "/a#b",
        "/a\\b", "/a\n",
    ] {
        assert!(check_place(at).is_err(), "{at:?}");
    }
}

#[test]
fn handlers_get_the_names_that_programs_for_other_servers_expect() {
    for (at, rest, file, script_name, path_info) in [
        ("/app", "/", "index", "/app", "/"),
        ("/app", "/x/y", "index", "/app", "/x/y"),
        ("/app", "/a%20b%2fc", "index", "/app", "/a b/c"),
        ("/app", "//x", "index", "/app", "//x"),
        ("/app", "/.git/config", "index", "/app", "/.git/config"),
        ("/app", "/tool", "tool", "/app/tool", "-"),
        ("/app", "/tool/", "tool", "/app/tool", "/"),
        ("/app", "/tool/x", "tool", "/app/tool", "/x"),
        ("/app", "/index", "index", "/app/index", "-"),
        ("/app", "/sub/", "sub/index", "/app/sub", "/"),
        ("/app", "/sub/x", "sub/index", "/app/sub", "/x"),
        ("/app", "/sub/deep", "sub/index", "/app/sub", "/deep"),
        ("/app", "/sub/deep/x", "sub/index", "/app/sub", "/deep/x"),
        ("/app", "/sub/deep/tool", "sub/deep/tool", "/app/sub/deep/tool", "-"),
        ("/", "/", "index", "", "/"),
        ("/", "/x", "index", "", "/x"),
        ("/", "/tool/x", "tool", "/tool", "/x"),
    ] {
        assert_eq!(routed(at, rest), Ok([file, script_name, path_info].map(String::from)), "{at} {rest}");
    }
    for (at, rest, status) in [
        ("/app", "", 308),
        ("/app", "/sub", 308),
        ("/", "/sub", 308),
        ("/app", "/text", 403),
        ("/app", "/quiet/", 403),
        ("/app", "/fifo", 404),
        ("/app", "/../x", 404),
        ("/app", "/x/%2e%2e/y", 404),
        ("/app", "/a%2f..%2fb", 404),
        ("/app", "/tool/./x", 404),
        ("/app", "/tool/%00", 400),
    ] {
        assert_eq!(routed(at, rest), Err(status), "{at} {rest}");
    }
}

#[test]
fn without_an_index_what_is_missing_is_404() {
    for rest in ["", "/", "/x", "/sub/x", "/sub"] {
        let found = handlers("/app", rest, &["index", "sub/index"]).0;
        assert_eq!(found.unwrap_err().status, 404, "{rest}");
    }
}

#[test]
fn only_what_a_new_file_cannot_change_is_remembered() {
    for (rest, lasting) in
        [("/tool/x", true), ("/", true), ("/sub/", true), ("/x", false), ("/sub/deep", false)]
    {
        assert_eq!(handlers("/app", rest, &[]).0.unwrap().lasting, lasting, "{rest}");
    }
}

#[test]
fn a_program_gets_everything_below_its_mount() {
    let program =
        Target::Program { file: "/usr/lib/git-core/git-http-backend".into(), arguments: Vec::new() };
    let mut probe = |_: &mut PathBuf| panic!("it asks for nothing");
    for (at, rest, script_name, path_info) in [
        ("/git", "", "/git", None),
        ("/git", "/", "/git", Some("/")),
        ("/git", "/a.git/info/refs", "/git", Some("/a.git/info/refs")),
        ("/git", "/a%20b", "/git", Some("/a b")),
        ("/", "/a", "", Some("/a")),
    ] {
        let route = program.resolve(at, rest, &mut probe).unwrap();
        assert_eq!(route.script_name, script_name.as_bytes());
        assert_eq!(route.path_info.as_deref(), path_info.map(str::as_bytes));
        assert_eq!(route.directory, Path::new("/usr/lib/git-core"));
    }
    for (rest, status) in [("/../a", 404), ("/a/%2e%2e", 404), ("/%00", 400)] {
        assert_eq!(program.resolve("/git", rest, &mut probe).unwrap_err().status, status, "{rest}");
    }
}

#[test]
fn files_have_plain_names_only() {
    let files = Target::Files("/srv/files".into());
    let mut probe = |_: &mut PathBuf| panic!("it asks for nothing");
    for rest in ["", "/", "/a.css", "/sub/", "/sub/a%20b"] {
        assert_eq!(files.resolve("/s", rest, &mut probe).unwrap().handler, Path::new(OWN_PROGRAM), "{rest}");
    }
    for rest in
        ["/.git", "/sub/.htaccess", "/..", "/%2e%2e/x", "/a%2fb", "/a\\b", "/%00", "//", "/a//b", "/sub//"]
    {
        assert_eq!(files.resolve("/s", rest, &mut probe).unwrap_err().status, 404, "{rest}");
    }
}

/// Paths out of pieces that attackers put together.
fn path() -> impl Strategy<Value = String> {
    let pieces = &[
        "/", "/", "/", "sub", "tool", "deep", "index", "etc", ".", "..", "%2e", "%2f", "%5c", "\\", "%00",
        "%25", "a", "%e9", ";",
    ][..];
    prop::collection::vec(prop::sample::select(pieces), 0..12)
        .prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #[test]
    fn nothing_outside_the_mount_is_ever_asked_for_or_run(rest in path()) {
        let (found, asked) = handlers("/app", &rest, &[]);
        for path in &asked {
            let below = path.strip_prefix(BASE).expect("it is below the mount");
            let plain = below.to_str().is_none_or(|below| below.split('/').all(|name| is_plain(name.as_bytes())));
            prop_assert!(plain && !below.as_os_str().is_empty(), "{path:?} was asked for");
        }
        if let Ok(route) = found {
            prop_assert!(asked.contains(&route.handler));
            let info = route.path_info.unwrap_or_default();
            prop_assert!(!info.split(|&byte| byte == b'/').any(|name| matches!(name, b"." | b"..")));
        }
    }

    #[test]
    fn names_of_a_mount_are_the_decoded_path(rest in path()) {
        if let (Ok(route), _) = handlers("/app", &rest, &[]) {
            let whole = [route.script_name, route.path_info.unwrap_or_default()].concat();
            prop_assert_eq!(whole, [&b"/app"[..], &decode(&rest)].concat());
        }
    }
}
