//! Programs that exist as mounts of one site, each with its pictures and styles.

use std::fs;
use std::path::Path;

use super::programs::{git, has_cgi_pm, installed, repository};
use super::text;
use crate::harness::{Sandbox, Server};

/// What a page names in `href` or `src` and ends with one of these, as an absolute path.
fn parts_of(page: &str, target: &str) -> Vec<String> {
    let values = |name: &str| -> Vec<String> {
        let after = page.split(name).skip(1);
        after.filter_map(|rest| rest.split(['"', '\'']).next().map(str::to_owned)).collect()
    };
    let base = page.split("<base href=\"").nth(1).and_then(|rest| rest.split('"').next());
    let base = base.and_then(|base| Some(format!("/{}", base.split_once("://")?.1.split_once('/')?.1)));
    let base = base.as_deref().unwrap_or(target);
    let folder = &base[..=base.rfind('/').unwrap()];
    let links = [values("href='"), values("href=\""), values("src='"), values("src=\"")].concat();
    let shown = |link: &String| [".css", ".png", ".js", ".ico"].iter().any(|end| link.ends_with(end));
    let absolute = |link: String| if link.starts_with('/') { link } else { format!("{folder}{link}") };
    links.into_iter().filter(shown).map(absolute).collect()
}

/// Expects a page, and every style and picture of it.
#[track_caller]
fn shows(server: &Server, target: &str, expected: &str) {
    let page = server.get(target);
    assert_eq!(page.status, 200, "{target}: {page:?}");
    let page = text(&page);
    assert!(page.contains(expected), "{target}: {page}");
    let parts = parts_of(&page, target);
    assert!(parts.iter().any(|part| part.ends_with(".css")), "{target} has no style: {page}");
    for part in parts {
        let file = server.get(&part);
        let kind = file.header("content-type").unwrap_or_default();
        let right = match part.rsplit('.').next().unwrap() {
            "css" => kind.starts_with("text/css"),
            "js" => kind.contains("javascript"),
            _ => kind.starts_with("image/"),
        };
        assert!(file.status == 200 && right && !file.body.is_empty(), "{target}: {part}: {file:?}");
    }
}

/// A `[[mount]]` of a program that writes documents.
fn mount(at: &str, program: &Path, env: &[(&str, &str)]) -> String {
    let env: Vec<_> = env.iter().map(|(name, value)| format!("{name} = {value:?}")).collect();
    let (program, env) = (program.display(), env.join(", "));
    format!("[[mount]]\nat = {at:?}\nrun = [\"{program}\"]\nresponse = \"document\"\nenv = {{ {env} }}\n\n")
}

fn files(at: &str, root: &str) -> String {
    format!("[[static]]\nat = {at:?}\nroot = {root:?}\n\n")
}

#[test]
fn cgit_is_a_site_with_its_styles() {
    let Some(program) = installed(&["/usr/lib/cgit/cgit.cgi"], "cgit") else { return };
    for at in ["/cgit", "/"] {
        let sandbox = Sandbox::new();
        repository(&sandbox);
        let repositories = sandbox.path("repositories").display().to_string();
        let settings = format!(
            "enable-git-config=0\nvirtual-root={at}\ncss=/cgit-files/cgit.css\nlogo=/cgit-files/cgit.png\n\
             favicon=/favicon.ico\nscan-path={repositories}\n"
        );
        let settings = sandbox.write("cgitrc", settings).display().to_string();
        let config = mount(at, &program, &[("CGIT_CONFIG", &settings)])
            + &files("/cgit-files", "/usr/share/cgit")
            + &files("/favicon.ico", "/usr/share/cgit/favicon.ico");
        sandbox.write("c.toml", config);
        let server = sandbox.start(&["-c", "c.toml"]);
        let root = at.trim_end_matches('/');
        shows(&server, &format!("{root}/"), "a repository for tests");
        shows(&server, &format!("{root}/r.git/log/"), "commit 2");
        shows(&server, &format!("{root}/r.git/tree/file"), "version 3");
        assert_eq!(server.get(&format!("{root}/none/")).status, 404);
    }
}

#[test]
fn gitweb_is_a_site_with_its_styles() {
    let programs = ["/usr/share/gitweb/gitweb.cgi", "/usr/lib/cgi-bin/gitweb.cgi"];
    let Some(program) = installed(&programs, "gitweb").filter(|_| has_cgi_pm()) else { return };
    let sandbox = Sandbox::new();
    repository(&sandbox);
    let root = sandbox.path("repositories").display().to_string();
    let settings = format!(
        "$projectroot = \"{root}\";\n$feature{{'pathinfo'}}{{'default'}} = [1];\n\
         @stylesheets = ('/gitweb/static/gitweb.css');\n$logo = '/gitweb/static/git-logo.png';\n\
         $favicon = '/gitweb/static/git-favicon.png';\n$javascript = '/gitweb/static/gitweb.js';\n1;\n"
    );
    let settings = sandbox.write("gitweb.conf", settings).display().to_string();
    let config = mount("/gitweb", &program, &[("GITWEB_CONFIG", &settings)])
        + &files("/gitweb/static", "/usr/share/gitweb/static");
    sandbox.write("c.toml", config);
    let server = sandbox.start(&["-c", "c.toml"]);
    shows(&server, "/gitweb/", "a repository for tests");
    shows(&server, "/gitweb/r.git/shortlog/refs/heads/main", "commit 2");
    shows(&server, "/gitweb/r.git/blob/HEAD:/file", "version&nbsp;3");
    assert_eq!(server.get("/gitweb/?p=none.git").status, 404);
}

#[test]
fn git_is_cloned_from_and_pushed_to_a_mount() {
    let programs = ["/usr/lib/git-core/git-http-backend", "/usr/libexec/git-core/git-http-backend"];
    let Some(program) = installed(&programs, "git") else { return };
    let sandbox = Sandbox::new();
    let bare = repository(&sandbox);
    let root = sandbox.path("repositories").display().to_string();
    let env = [("GIT_PROJECT_ROOT", &*root), ("GIT_HTTP_EXPORT_ALL", "1")];
    sandbox.write("c.toml", mount("/code/git", &program, &env));
    let server = sandbox.start(&["-c", "c.toml"]);
    let url = format!("http://127.0.0.1:{}/code/git/r.git", server.port());
    git(&sandbox, &sandbox.path(""), &["clone", "-q", &url, "clone"]);
    let clone = sandbox.path("clone");
    fs::write(clone.join("file"), "version 4\n").unwrap();
    git(&sandbox, &clone, &["commit", "-q", "-a", "-m", "commit 4"]);
    git(&sandbox, &clone, &["push", "-q", "origin", "HEAD:main"]);
    assert_eq!(git(&sandbox, &bare, &["log", "-1", "--format=%s", "main"]).trim(), "commit 4");
    assert_eq!(server.get("/code/git/../../../etc/passwd").status, 404);
}
