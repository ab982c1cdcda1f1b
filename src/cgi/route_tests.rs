//! Tests of routing over a made-up file system. The oracle of the traversal tests is what was asked of it.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const BASE: &str = "/srv/base";
const RUNS: Kind = Kind::File { executable: true };

/// A file system below [`BASE`] that records what it is asked.
struct Tree {
    entries: HashMap<Vec<u8>, Kind>,
    asked: Vec<PathBuf>,
}

impl Tree {
    fn new() -> Self {
        let entries = [
            (&b"index"[..], RUNS),
            (b"hello", RUNS),
            (b"hello.txt", RUNS),
            (b"text", Kind::File { executable: false }),
            (b"fifo", Kind::Other),
            (b"etc", Kind::Directory),
            (b"etc/passwd", RUNS),
            (b"dir", Kind::Directory),
            (b"dir/index", RUNS),
            (b"dir/tool", RUNS),
            (b"dir/sub", Kind::Directory),
            (b"dir/sub/index", Kind::Directory),
            (b"quiet", Kind::Directory),
            (b"quiet/index", Kind::File { executable: false }),
            (b"caf\xe9", RUNS),
            (b"a b", RUNS),
            (b"%2e%2e", RUNS),
            (b".hidden", RUNS),
            (b"a\\b", RUNS),
        ];
        Self {
            entries: entries.iter().map(|&(name, kind)| (name.to_vec(), kind)).collect(),
            asked: Vec::new(),
        }
    }

    fn resolve(&mut self, path: &str) -> Result<Route, u16> {
        let Self { entries, asked } = self;
        resolve(Path::new(BASE), path, &mut |path| {
            asked.push(path.clone());
            let below = path.strip_prefix(BASE).map(|below| below.as_os_str().as_bytes().to_vec());
            below.ok().and_then(|below| entries.get(&below).copied()).unwrap_or(Kind::Missing)
        })
        .map_err(|refusal| refusal.status)
    }

    /// Asserts that nothing but plain names below the base was asked for.
    fn assert_inside(&self) {
        for path in &self.asked {
            let text = path.as_os_str().as_bytes();
            let below = text.strip_prefix(BASE.as_bytes()).and_then(|below| below.strip_prefix(b"/"));
            let below = below.unwrap_or_else(|| panic!("{path:?} is outside {BASE}"));
            for name in below.split(|&byte| byte == b'/') {
                let escape =
                    name.is_empty() || name.starts_with(b".") || name.contains(&0) || name.contains(&b'\\');
                assert!(!escape, "{path:?} was asked for");
            }
        }
    }
}

#[track_caller]
fn routed(path: &str, script_name: &[u8], path_info: Option<&[u8]>) {
    let mut tree = Tree::new();
    let route = tree.resolve(path).unwrap_or_else(|status| panic!("{path} gave {status}"));
    assert_eq!(route.script_name, script_name, "{path}");
    assert_eq!(route.path_info.as_deref(), path_info, "{path}");
    assert_eq!(route.handler.as_os_str().as_bytes(), [BASE.as_bytes(), script_name].concat());
    assert_eq!(Some(&*route.directory), route.handler.parent());
    tree.assert_inside();
}

#[test]
fn the_first_regular_file_is_the_handler_and_the_rest_its_path_info() {
    routed("/hello", b"/hello", None);
    routed("/hello/", b"/hello", Some(b"/"));
    routed("/hello/x/y", b"/hello", Some(b"/x/y"));
    routed("/dir/tool/x", b"/dir/tool", Some(b"/x"));
    routed("/etc/passwd", b"/etc/passwd", None);
}

#[test]
fn a_handler_at_the_first_segment_takes_one_probe() {
    let mut tree = Tree::new();
    tree.resolve("/hello/x").unwrap();
    assert_eq!(tree.asked, [Path::new("/srv/base/hello")]);
}

#[test]
fn a_directory_is_served_by_its_index() {
    routed("/", b"/index", None);
    routed("/dir", b"/dir/index", None);
    routed("/dir/", b"/dir/index", None);
    routed("/dir/index/x", b"/dir/index", Some(b"/x"));
    for path in ["/etc", "/etc/", "/dir/sub", "/dir/missing", "/dir/missing/x", "/missing", "/missing/"] {
        assert_eq!(Tree::new().resolve(path), Err(404), "{path}");
    }
}

#[test]
fn a_file_that_is_not_executable_is_403_and_anything_odd_404() {
    assert_eq!(Tree::new().resolve("/text"), Err(403));
    assert_eq!(Tree::new().resolve("/text/x"), Err(403));
    assert_eq!(Tree::new().resolve("/quiet/"), Err(403));
    assert_eq!(Tree::new().resolve("/fifo"), Err(404));
    assert_eq!(Tree::new().resolve("*"), Err(404));
    assert_eq!(Tree::new().resolve(""), Err(404));
}

#[test]
fn names_are_decoded_once_and_need_not_be_utf_8() {
    routed("/caf%e9/%ff", b"/caf\xe9", Some(b"/\xff"));
    routed("/a%20b", b"/a b", None);
    routed("/%68ello", b"/hello", None);
    routed("/hello/%252f%2f..%2e/.//x", b"/hello", Some(b"/%2f/..././/x"));
    assert_eq!(Tree::new().resolve("/a+b"), Err(404));
}

#[test]
fn broken_escapes_and_a_nul_behind_the_handler_are_400() {
    for path in [
        "/%",
        "/%2",
        "/%zz",
        "/hello%",
        "/hello/%2",
        "/hello/%+1",
        "/missing/%g0",
        "/%u002e%u002e/x",
        "/hello/%00",
        "/hello/a%00b",
    ] {
        assert_eq!(Tree::new().resolve(path), Err(400), "{path}");
    }
}

#[test]
fn no_known_traversal_resolves_or_leaves_the_base() {
    for path in [
        "/../hello",
        "/%2e%2e/hello",
        "/..%2fhello",
        "/.%2e/hello",
        "/.%%32%65/hello",
        "/%252e%252e%252fhello",
        "/..%c0%afhello",
        "/%c0%ae%c0%ae/hello",
        "/..%e0%80%afhello",
        "/..%5chello",
        "/..\\hello",
        "/..;/hello",
        "/%u002e%u002e/hello",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/%2fetc/passwd",
        "/hello%00.txt",
        "/dir/../hello",
        "/dir/./tool",
        "/dir//tool",
        "/dir/%2e%2e/hello",
        "/./hello",
        "/.",
        "/..",
        "/dir/..",
        "/dir/.",
        "/.hidden",
        "/%2ehidden",
        "/a%5cb",
        "/a\\b",
        "/dir%2ftool",
        "/dir/..%00/hello",
        "file:///etc/passwd",
        "/etc//passwd",
        "/dir//",
        "//",
        "/%00",
        "/%2e%2e%2f%2e%2e%2fetc/passwd",
        "/../../../../../../etc/passwd",
        "hello",
        "../hello",
    ] {
        let mut tree = Tree::new();
        let status = tree.resolve(path).expect_err(path);
        assert!(matches!(status, 400 | 404), "{path} gave {status}");
        tree.assert_inside();
    }
    // Decoded twice, this would be "..": decoded once, it is an odd name and nothing more.
    routed("/%252e%252e", b"/%2e%2e", None);
}

/// Paths out of pieces that attackers put together.
fn path() -> impl Strategy<Value = String> {
    let pieces = &[
        "/", "/", "/", "dir", "hello", "etc", "sub", "index", ".", "..", "%2e", "%2f", "%5c", "\\", "%00",
        "%", "%25", "a", "%e9", "caf", "%2", ";", "?",
    ][..];
    prop::collection::vec(prop::sample::select(pieces), 0..12)
        .prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #[test]
    fn nothing_outside_the_base_is_ever_asked_for(path in prop_oneof![path(), any::<String>()]) {
        let mut tree = Tree::new();
        let _ = tree.resolve(&path);
        tree.assert_inside();
    }

    #[test]
    fn script_name_and_path_info_are_the_decoded_path(path in path()) {
        if let Ok(route) = Tree::new().resolve(&path) {
            let mut whole = route.script_name.clone();
            whole.extend_from_slice(route.path_info.as_deref().unwrap_or_default());
            let decoded = decode(&path).into_owned();
            let with_index = [decoded.strip_suffix(b"/").unwrap_or(&decoded), b"/index"].concat();
            prop_assert!(whole == decoded || whole == with_index, "{:?} became {:?}", path, route);
        }
    }
}

#[test]
fn a_probe_may_lead_on_to_another_path_of_the_same_directory() {
    let mut asked = Vec::new();
    let mut probe = |path: &mut PathBuf| {
        asked.push(path.clone());
        if path.ends_with("shop") {
            path.set_file_name(".shop.7");
            return Kind::Directory;
        }
        RUNS
    };
    let route = resolve(Path::new(BASE), "/shop/cart/x", &mut probe).unwrap();
    assert_eq!(route.handler, Path::new("/srv/base/.shop.7/cart"));
    assert_eq!(route.directory, Path::new("/srv/base/.shop.7"));
    assert_eq!((&*route.script_name, route.path_info.as_deref()), (&b"/shop/cart"[..], Some(&b"/x"[..])));
    assert_eq!(asked, ["/srv/base/shop", "/srv/base/.shop.7/cart"].map(Path::new));
}
