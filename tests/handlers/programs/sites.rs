//! cgit and gitweb as sites of their own, with their pictures and styles where they look for them.

use super::git::{backend, git, repository};
use super::{CGIT, GITWEB, files, has_cgi_pm, installed, mount, serving};
use crate::handlers::documents::text;
use crate::harness::{Response, Sandbox, Server, eventually};

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

#[test]
fn cgit_is_a_site_with_its_styles() {
    let Some(program) = installed(CGIT, "cgit") else { return };
    // Where it looks for its files unless told otherwise, and elsewhere.
    for (at, beside) in [("/cgit", ""), ("/", "/cgit-files")] {
        let sandbox = Sandbox::new();
        repository(&sandbox);
        let repositories = sandbox.path("repositories").display().to_string();
        let told = format!("css={beside}/cgit.css\nlogo={beside}/cgit.png\nfavicon={beside}/favicon.ico\n");
        let told = if beside.is_empty() { "" } else { &told };
        let settings = format!("enable-git-config=0\nvirtual-root={at}\n{told}scan-path={repositories}\n");
        let settings = sandbox.write("cgitrc", settings).display().to_string();
        let file = |name: &str| files(&format!("{beside}/{name}"), &format!("/usr/share/cgit/{name}"));
        let mounts = mount(at, &program, &[("CGIT_CONFIG", &settings)])
            + &["cgit.css", "cgit.png", "favicon.ico"].map(file).concat();
        let server = serving(&sandbox, &mounts, &[]);
        let root = at.trim_end_matches('/');
        shows(&server, &format!("{root}/"), "a repository for tests");
        shows(&server, &format!("{root}/r.git/log/"), "commit 2");
        shows(&server, &format!("{root}/r.git/tree/file"), "version 3");
        assert_eq!(server.get(&format!("{root}/none/")).status, 404);
    }
}

/// The sample, here without a proxy: the client of a TCP port may say what the proxy would.
#[test]
fn the_sample_git_toml_serves_clones_pushes_and_pages() {
    let (Some(program), Some(backend)) = (installed(CGIT, "cgit"), backend()) else { return };
    let sandbox = Sandbox::new();
    let bare = repository(&sandbox);
    sandbox.write("handlers/.empty", "");
    let sample = include_str!("../../../src/server/packaging/git.toml");
    let own = sandbox.path("").display().to_string();
    let sample = sample.replace("/srv/git", own.trim_end_matches('/'));
    let cgitrc = sample.lines().find_map(|line| line.strip_prefix("# cgitrc: ")).unwrap().replace(", ", "\n");
    let cgitrc = sandbox.write("cgitrc", format!("enable-git-config=0\n{cgitrc}\n"));
    let mut settings = sample.clone();
    for (of_the_sample, here) in [
        ("bind = \"unix:/run/caffeine/git.sock\"", ""),
        ("socket-owner = \":www-data\"", ""),
        ("[\"unix\"]", "[\"127.0.0.1\"]"),
        ("/etc/cgitrc", cgitrc.to_str().unwrap()),
        (CGIT[0], program.to_str().unwrap()),
        ("/usr/lib/git-core/git-http-backend", backend.to_str().unwrap()),
    ] {
        assert!(settings.contains(of_the_sample), "{of_the_sample}");
        settings = settings.replace(of_the_sample, here);
    }
    let server = serving(&sandbox, &settings, &[]);
    shows(&server, "/cgit/", "a repository for tests");
    shows(&server, "/cgit/r.git/log/", "commit 2");
    let url = format!("http://127.0.0.1:{}/git/r.git", server.port());
    git(&sandbox, &sandbox.path(""), &["clone", "-q", &url, "clone"]);
    let clone = sandbox.path("clone");
    git(&sandbox, &clone, &["commit", "-q", "--allow-empty", "-m", "pushed"]);
    git(
        &sandbox,
        &clone,
        &["-c", "http.extraHeader=X-Remote-User: ann", "push", "-q", "origin", "HEAD:main"],
    );
    assert!(git(&sandbox, &bare, &["log", "-1", "main"]).contains("pushed"));
    assert_eq!(server.get("/other").status, 404);
    let log = || std::fs::read_to_string(server.folder().access_log()).unwrap_or_default();
    eventually("the access log has user and style", || {
        let log = log();
        log.contains(" - ann [")
            && log.lines().any(|line| line.contains("GET /cgit-css/cgit.css HTTP/1.1\" 200 "))
    });
}

#[test]
fn gitweb_is_a_site_with_its_styles() {
    let Some(program) = installed(GITWEB, "gitweb").filter(|_| has_cgi_pm()) else { return };
    // Its pages link to static/gitweb.css, from the folder of the script.
    for (at, beside) in [("/gitweb", "/static"), ("/gitweb/index.cgi", "/gitweb/static")] {
        let sandbox = Sandbox::new();
        repository(&sandbox);
        let root = sandbox.path("repositories").display().to_string();
        let paths = "$feature{'pathinfo'}{'default'} = [1];";
        let settings = sandbox.write("gitweb.conf", format!("$projectroot = \"{root}\";\n{paths}\n1;\n"));
        let env = [("GITWEB_CONFIG", settings.to_str().unwrap())];
        let mounts = mount(at, &program, &env) + &files(beside, "/usr/share/gitweb/static");
        let server = serving(&sandbox, &mounts, &[]);
        shows(&server, &format!("{at}/"), "a repository for tests");
        shows(&server, &format!("{at}/r.git/shortlog/refs/heads/main"), "commit 2");
        shows(&server, &format!("{at}/r.git/blob/HEAD:/file"), "version&nbsp;3");
        shows(&server, &format!("{at}?p=r.git;a=shortlog"), "commit 2");
        assert_eq!(server.get(&format!("{at}/?p=none.git")).status, 404);
        let head = format!("HEAD {at} HTTP/1.1\r\nHost: x\r\n\r\n");
        let head = Response::parse(&server.raw(head.as_bytes()));
        assert_eq!((head.status, head.body.len()), (200, 0));
    }
}
