//! Module edges: which module may use which, and a checker that reads the source.
//!
//! It knows paths (`crate::`, `super::`, in `use` or in code) but neither types nor name resolution.

use super::lexer::{Token, tokens};

/// Each top-level module of `src/` with the modules it may use. A module may always use itself.
pub const EDGES: &[(&str, &[&str])] = &[
    ("lab", &["listener", "measure", "dist", "sys", "scoreboard", "manual"]),
    ("loadgen", &["measure", "dist", "http", "sys", "manual"]),
    ("server", &["instance", "cgi", "listener", "dist", "http", "scoreboard", "sys", "manual"]),
    ("instance", &["sys", "scoreboard"]),
    ("cgi", &["http", "sys"]),
    ("listener", &["sys", "scoreboard"]),
    ("manual", &[]),
    ("measure", &["sys"]),
    ("dist", &[]),
    ("http", &[]),
    ("scoreboard", &["sys"]),
    ("sys", &[]),
];

/// Every forbidden use in one file, as `path:line: why`. `path` begins with `src/`.
pub fn violations(path: &str, source: &str) -> Vec<String> {
    let place = module_path(path);
    let Some(module) = place.first() else { return Vec::new() };
    let Some((_, allowed)) = EDGES.iter().find(|(name, _)| name == module) else {
        return vec![format!("{path}: the module {module} is not in the table of edges")];
    };
    uses(&place, source)
        .into_iter()
        .filter(|(_, used)| used != module && !allowed.contains(&used.as_str()))
        .map(|(line, used)| format!("{path}:{line}: {module} may not use {used}"))
        .collect()
}

/// `src/server/cli/mod.rs` is `["server", "cli"]`, `src/dist_tests.rs` is `["dist", "tests"]`, the crate's
/// root is empty.
fn module_path(path: &str) -> Vec<&str> {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs");
    let subject = inside.strip_suffix("_tests");
    let parts = subject.unwrap_or(inside).split('/').filter(|part| !["lib", "mod"].contains(part));
    parts.chain(subject.map(|_| "tests")).collect()
}

/// The top-level modules named by a file at `place`, with line numbers.
fn uses(place: &[&str], source: &str) -> Vec<(usize, String)> {
    let code: Vec<_> =
        tokens(source).into_iter().filter(|(_, token)| !matches!(token, Token::Comment(_))).collect();
    let mut found = Vec::new();
    let mut inline = Vec::new(); // brace depths at which inline modules opened
    let mut depth = 0;
    let mut at = 0;
    while at < code.len() {
        match code[at].1 {
            Token::Mark('{') => {
                depth += 1;
                if at >= 2 && code[at - 2].1 == Token::Word("mod") {
                    inline.push(depth);
                }
            }
            Token::Mark('}') => {
                if inline.last() == Some(&depth) {
                    inline.pop();
                }
                depth -= 1;
            }
            Token::Word("crate") => found.extend(leads_to(&code[at + 1..])),
            Token::Word("super") => {
                let mut up = 1;
                while is_path_to(&code[at + 1..], "super") {
                    (at, up) = (at + 3, up + 1);
                }
                if up == place.len() + inline.len() {
                    found.extend(leads_to(&code[at + 1..]));
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

type Code<'a, 'b> = &'b [(usize, Token<'a>)];

fn is_path_to(code: Code, word: &str) -> bool {
    matches!(code, [(_, Token::Mark(':')), (_, Token::Mark(':')), (_, Token::Word(next)), ..] if *next == word)
}

/// What follows the crate's root: `::name`, or `::{name::x, name}` with one name per branch.
fn leads_to(code: Code) -> Vec<(usize, String)> {
    let [(_, Token::Mark(':')), (_, Token::Mark(':')), branches @ ..] = code else { return Vec::new() };
    let mut found = Vec::new();
    let (mut depth, mut begins) = (0, true);
    for (line, token) in branches {
        match token {
            Token::Mark('{') => depth += 1,
            Token::Mark('}') => depth -= 1,
            Token::Mark(',') if depth == 1 => begins = true,
            Token::Word(name) if begins => {
                found.push((*line, (*name).to_string()));
                begins = false;
            }
            Token::Mark('*') if begins => found.push((*line, "*".to_string())),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    found
}

#[cfg(test)]
mod the_checker {
    use super::violations;

    fn refused(path: &str, source: &str) -> Vec<String> {
        violations(path, source)
            .into_iter()
            .map(|line| line.rsplit(' ').next().unwrap().to_string())
            .collect()
    }

    #[test]
    fn refuses_a_forbidden_path_in_every_form() {
        assert_eq!(refused("src/http/mod.rs", "use crate::sys::map;"), ["sys"]);
        assert_eq!(
            refused("src/cgi/route.rs", "use crate::{http::Head, listener, sys::{a, b}};"),
            ["listener"]
        );
        assert_eq!(refused("src/dist.rs", "fn f() { crate::sys::g() }"), ["sys"]);
        assert_eq!(refused("src/dist.rs", "use super::sys;"), ["sys"]);
        assert_eq!(refused("src/sys/map.rs", "use super::super::server;"), ["server"]);
        assert_eq!(refused("src/sys/mod.rs", "mod tests { use super::super::lab; }"), ["lab"]);
        assert_eq!(refused("src/sys/mod.rs", "use crate::*;"), ["*"]);
        assert_eq!(refused("src/dist_tests.rs", "use super::super::sys;"), ["sys"]);
    }

    #[test]
    fn names_the_file_and_the_line() {
        let line = &violations("src/sys/a.rs", "\n\nuse crate::lab;")[0];
        assert_eq!(line, "src/sys/a.rs:3: sys may not use lab");
    }

    #[test]
    fn permits_edges_in_the_table_and_paths_inside_a_module() {
        assert!(refused("src/server/worker.rs", "use crate::{cgi, http::Head, server::config};").is_empty());
        assert!(refused("src/sys/map.rs", "use super::cerr; mod t { use super::*; }").is_empty());
        assert!(refused("src/listener/inherited.rs", "pub(crate) fn f() {} pub(super) fn g() {}").is_empty());
        assert!(refused("src/lib.rs", "pub mod sys; pub use crate::lab;").is_empty());
    }

    #[test]
    fn ignores_comments_and_strings() {
        assert!(refused("src/sys/a.rs", "//! [`crate::lab`]\nconst A: &str = \"crate::lab\";").is_empty());
    }

    #[test]
    fn refuses_an_unlisted_module() {
        assert_eq!(violations("src/util.rs", "").len(), 1);
    }
}
