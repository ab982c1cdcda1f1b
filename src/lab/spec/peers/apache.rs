//! Apache httpd as a peer: the event MPM, with as many processes as workers.
//!
//! Each process names itself by the part of `mod_unique_id`'s value that it draws at its start.

use std::path::Path;
use std::process::Command;

use super::{Refused, Setup};

/// Where distributions install the modules.
const FOLDERS: [&str; 6] = [
    "/usr/lib/apache2/modules",
    "/usr/lib64/httpd/modules",
    "/usr/lib/httpd/modules",
    "/etc/httpd/modules",
    "/usr/local/apache2/modules",
    "/usr/libexec/apache2",
];
/// Per process: requests that one worker can handle at once.
const THREADS: usize = 64;
/// It refuses to serve as root.
const USER: &str = "nobody";
/// The answer is an error document for the status 200: no file is touched.
const FIXED: &str = r#"ErrorDocument 200 "hello\n"
RewriteEngine on
RewriteCond %{ENV:UNIQUE_ID} ^.{6}(.{12})
RewriteRule .* - [E=WORKER:%1,R=200]
Header always set Caffeine-Worker "expr=%{reqenv:WORKER}""#;
/// The prefix `nph-` marks a handler that writes the whole response.
const CGI: &str = "ScriptSock {folder}/cgi\nScriptAlias /{path} {folder}/served/nph-{path}";

pub fn command(setup: &Setup<'_>) -> Result<Command, Refused> {
    let Some(modules) =
        FOLDERS.iter().map(Path::new).find(|folder| folder.join("mod_mpm_event.so").is_file())
    else {
        return Err(Refused::Skipped(format!(
            "Apache's mod_mpm_event.so is in none of {}",
            FOLDERS.join(", ")
        )));
    };
    if let Some(handler) = setup.handler {
        setup.serve(handler, &setup.folder.join("served").join(format!("nph-{}", setup.path)))?;
        if setup.root {
            setup.open_to_others(USER)?;
        }
    }
    setup.run(&configuration(setup, modules), "-f {configuration} -DFOREGROUND")
}

fn configuration(setup: &Setup<'_>, modules: &Path) -> String {
    let load = |names: &[&str]| -> String {
        let line = |name: &&str| format!("LoadModule {name}_module {}/mod_{name}.so\n", modules.display());
        names.iter().filter(|name| modules.join(format!("mod_{name}.so")).is_file()).map(line).collect()
    };
    let work = if setup.handler.is_some() {
        load(&["alias", "cgid"]) + CGI
    } else {
        load(&["rewrite", "headers", "unique_id"]) + FIXED
    };
    let values = [
        ("{modules}", load(&["mpm_event", "authz_core", "unixd"])),
        ("{user}", if setup.root { format!("User {USER}\nGroup #65534") } else { String::new() }),
        ("{threads}", THREADS.to_string()),
        ("{all_threads}", (setup.workers * THREADS).to_string()),
        ("{work}", work),
    ];
    setup.fill(include_str!("apache.conf"), &values.each_ref().map(|(name, value)| (*name, value.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_by_itself_or_runs_the_handler() {
        let fixed = Setup { workers: 3, ..Setup::example(Path::new("/f")) };
        let text = configuration(&fixed, Path::new("/m"));
        assert!(text.contains("R=200") && text.contains("MaxRequestWorkers 192\n"), "{text}");
        assert!(!text.contains("User"), "{text}");
        let cgi = Setup { handler: Some(Path::new("/h/hello")), root: true, ..fixed };
        let text = configuration(&cgi, Path::new("/m"));
        assert!(text.contains("ScriptAlias /hello /f/served/nph-hello\n") && text.contains("User nobody\n"));
    }
}
